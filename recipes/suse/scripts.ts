/** What runs in the installed system at the end of an installation. */
import { FILE_TYPES } from '../../src/pack/filetypes.ts';
import type { AnswerInputs } from '../../src/recipe/answer-inputs.ts';

/** Texts of the files beside the recipes. */
export interface Scripts {
  /** Runs for every image. */
  readonly post: string;
  /** curtin's hooks. */
  readonly hooks: string;
  /** Runs on a deployed disk whose root is a logical volume. */
  readonly growLvm: string;
}

const END = 'END_OF_FILE';

/** Lines of a shell script that write `text`, whatever is in it but the line that ends it. */
function written(path: string, text: string, mode: string): string[] {
  return [`cat > ${path} <<'${END}'`, text.trimEnd(), END, `chmod ${mode} ${path}`];
}

const GROW = '/usr/local/sbin/compose-grow-lvm';
const UNIT = [
  '[Unit]',
  'Description=Grow the root logical volume to the end of its disk',
  '[Service]',
  'Type=oneshot',
  `ExecStart=${GROW}`,
  '[Install]',
  'WantedBy=multi-user.target',
].join('\n');

/**
 * A disk needs hooks because curtin's own steps would empty its fstab, a tree because they know no SUSE before curtin 23.1 and
 * rebuild no initrd for other machines' disks.
 */
export function installedScript({ layout, outputs }: AnswerInputs, scripts: Scripts): string {
  const grows = layout === 'lvm' && outputs.some((type) => FILE_TYPES[type].content !== 'tree');
  return [
    '#!/bin/sh',
    scripts.post.trimEnd(),
    'mkdir -p /curtin',
    ...written('/curtin/curtin-hooks', scripts.hooks, '0755'),
    ...(grows
      ? [
          // Nothing else makes a logical volume larger: cloud-init grows partitions and plain file systems.
          ...written(GROW, scripts.growLvm, '0755'),
          ...written('/etc/systemd/system/compose-grow-lvm.service', UNIT, '0644'),
          'systemctl enable compose-grow-lvm.service',
        ]
      : []),
    '',
  ].join('\n');
}
