/** The file itself: what it is, and whether it is whole. */
import { humanSize } from '../../formats/human.ts';
import { FILE_TYPES } from '../../pack/filetypes.ts';
import { systemOf } from '../facts.ts';
import { HOLDS, type Problem, type Rule, unless } from '../rule.ts';

/** What each system of MAAS can be deployed from (maas: src/maascommon/osystem, get_image_filetypes). */
const TREES_ONLY = ['ubuntu', 'centos', 'rhel', 'ol', 'suse'];
const DISKS_ONLY = ['windows', 'esxi', 'ubuntu-core'];

export const artifactRules: readonly Rule[] = [
  {
    id: 'filetype.known',
    severity: 'error',
    title: 'The filetype is one that MAAS takes',
    why: 'The upload is refused.',
    source: 'maas src/maasserver/forms/__init__.py, the choices of filetype',
    mend: `Declare one of ${Object.keys(FILE_TYPES).join(', ')}; convert an image of another kind with compose pack.`,
    for: { of: 'any' },
    check: ({ artifact: { declared } }) =>
      unless(declared === undefined || Object.hasOwn(FILE_TYPES, declared), `MAAS has no filetype "${declared}"`),
  },
  {
    id: 'filetype.content',
    severity: 'error',
    title: 'The content is what the filetype says',
    why: 'MAAS never opens the file. curtin pipes it through the decoder that the filetype names, and a wrong one fails on the machine, or fills its disk with rubbish.',
    source: 'curtin curtin/commands/block_meta.py, write_image_to_disk; curtin helpers/smtar',
    mend: 'Upload it with the filetype that its content asks for, or pack it again; neither MAAS nor curtin reads zstd or lz4.',
    for: { of: 'any' },
    check: ({ artifact: { filetype, compression, isTar, container } }) => {
      if (compression === undefined) return [{ message: 'the file is empty' }];
      if (compression === 'zstd' || compression === 'lz4') return [{ message: `it is compressed by ${compression}` }];
      if (container !== undefined) return [{ message: `the content is ${container}` }];
      if (filetype === undefined) return HOLDS;
      const row = FILE_TYPES[filetype];
      // curtin looks for itself how a tree and a ddtar are compressed.
      const free = row.content === 'tree' || filetype === 'ddtar';
      const problems: Problem[] = [];
      const has = compression === 'none' ? 'not compressed' : `compressed by ${compression}`;
      if (!free && row.compression !== compression) {
        const wants = row.compression === 'none' ? 'no compression' : row.compression;
        problems.push({ message: `${filetype} means ${wants}, and it is ${has}` });
      }
      if (isTar !== undefined && isTar !== (row.content !== 'disk')) {
        problems.push({
          message: `${filetype} means ${isTar ? 'a bare disk, and it is a tar' : 'a tar, and it is none'}`,
        });
      }
      return problems;
    },
  },
  {
    id: 'filetype.system',
    severity: 'error',
    title: 'MAAS deploys this system from this kind of image',
    why: 'The upload is taken, and every deployment ends with a missing boot image.',
    source: 'maas src/maascommon/osystem/*.py, get_image_filetypes',
    mend: 'Pack a tree (tgz) for ubuntu, centos, rhel, ol and suse, a disk (ddgz) for windows and esxi; a bare name takes both.',
    for: { of: 'any' },
    check: ({ artifact: { filetype, maas } }) => {
      if (filetype === undefined) return HOLDS;
      const system = systemOf(maas.name);
      const isTree = FILE_TYPES[filetype].content === 'tree';
      const refused = isTree ? DISKS_ONLY : TREES_ONLY;
      return unless(!refused.includes(system), `${system}/… is not deployed from ${isTree ? 'a tree' : 'a disk'}`);
    },
  },
  {
    id: 'stream.whole',
    severity: 'error',
    title: 'The file can be read to its end, and nothing follows it',
    why: 'curtin has no pipefail: of a dd image that is cut short half is written, and the step succeeds.',
    source: 'curtin curtin/commands/block_meta.py, write_image_to_disk',
    mend: 'Compare it with SHA256SUMS; download it or pack it again.',
    for: { of: 'any' },
    check: ({ artifact: { damage } }) => unless(damage === undefined, damage ?? ''),
  },
  {
    id: 'stream.readable',
    severity: 'warning',
    title: 'compose can read what is in it',
    why: 'Nothing inside was judged.',
    source: 'src/formats/tar/reader.ts, src/host/decompress.ts',
    mend: 'Pack it with compose pack, or with GNU tar in the format posix.',
    for: { of: 'any' },
    check: ({ artifact: { unread } }) => unless(unread === undefined, unread ?? ''),
  },
  {
    id: 'record.matches',
    severity: 'error',
    title: 'Size and SHA-256 are those of the record beside the file',
    why: 'MAAS hashes what it was sent and refuses it at the last chunk.',
    source: 'maas src/maasserver/api/boot_resources.py',
    mend: 'The file or its .maas.json was changed by itself: pack again, or remove the record.',
    for: { of: 'any' },
    check: ({ artifact: { record, size, sha256 } }) => {
      const problems: Problem[] = [];
      if (record?.size !== undefined && size !== undefined && record.size !== size)
        problems.push({
          message: `the record says ${humanSize(record.size)} (${record.size}), the file has ${size} bytes`,
        });
      else if (record?.sha256 !== undefined && sha256 !== undefined && record.sha256 !== sha256)
        problems.push({ message: `the record says ${record.sha256}, the file is ${sha256}` });
      return problems;
    },
  },
];
