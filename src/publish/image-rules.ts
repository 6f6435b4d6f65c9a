import { PublishError } from '../errors.ts';
import { FILE_TYPES, type FileType } from '../pack/filetypes.ts';
import { ARCHITECTURE, BASES, nameProblem, onlyContent } from '../recipe/maas-rules.ts';

/** What MAAS is told of an image. */
export interface ImageFields {
  /** A bare word for a custom image, or `<os>/<release>`. */
  readonly name: string;
  readonly title: string;
  /** `<arch>/<subarch>`. */
  readonly architecture: string;
  /** `<os>/<series>` of custom images; empty for others, where MAAS ignores it. */
  readonly baseImage: string;
  readonly filetype: FileType;
}

/** The system of a name: `custom` for a bare word. */
export function systemOf(name: string): string {
  return name.includes('/') ? (name.split('/')[0] ?? '') : 'custom';
}

/** `custom/web` is stored as `web` by MAAS 3.3 to 3.7 and deployed as `web` by all: the bare name means the same everywhere. */
export function bareName(name: string): string {
  return name.replace(/^custom\//, '');
}

/**
 * The fields as they are sent, or the refusal of what MAAS would refuse, or take and fail on when it deploys.
 * @param file for the errors
 * @throws PublishError `publish.name`, `publish.title`, `publish.architecture`, `publish.filetype`, `publish.base-image`
 */
export function checkFields(fields: ImageFields, file: string): ImageFields {
  const name = bareName(fields.name);
  const why = nameProblem(fields.name) ?? nameProblem(name);
  if (why !== undefined) {
    throw new PublishError('publish.name', `Cannot publish ${file} as "${fields.name}": ${why}`, {
      hint: 'A bare word such as web-node-amd64 is a custom image on every version of MAAS: --name web-node-amd64',
    });
  }
  if (fields.title.trim() === '' || /[\u0000-\u001f\u007f]/.test(fields.title)) {
    throw new PublishError('publish.title', `Cannot publish ${file}: its title is empty or has control characters`, {
      hint: 'MAAS shows the title to whoever deploys: --title "Web node"',
    });
  }
  if (!ARCHITECTURE.test(fields.architecture)) {
    throw new PublishError(
      'publish.architecture',
      `Cannot publish ${file}: "${fields.architecture}" is not arch/subarch`,
      { hint: 'It is amd64/generic or arm64/generic for nearly all: --architecture amd64/generic' },
    );
  }
  const system = systemOf(name);
  const only = onlyContent(system);
  if (only !== undefined && (FILE_TYPES[fields.filetype].content === 'tree') !== (only === 'tree')) {
    throw new PublishError(
      'publish.filetype',
      `Cannot publish ${file} as "${name}": MAAS deploys ${system} from a ${only} only, not from ${fields.filetype}`,
      { hint: `Under a name without "${system}/" it is a custom image, which may be either.` },
    );
  }
  return { ...fields, name, title: fields.title.trim(), baseImage: checkBase(fields, system, file) };
}

function checkBase({ baseImage }: ImageFields, system: string, file: string): string {
  if (system !== 'custom') return '';
  const base = baseImage.toLowerCase();
  const [os = '', series = '', ...more] = base.split('/');
  const hint = `It decides which system unpacks the image and what MAAS asks of it: --base-image ubuntu/noble, or one of ${BASES.join(', ')}.`;
  if (base === '') {
    throw new PublishError('publish.base-image', `Cannot publish ${file}: it has no base_image`, { hint });
  }
  if (!BASES.includes(os) || series === '' || more.length > 0) {
    throw new PublishError('publish.base-image', `Cannot publish ${file}: MAAS takes no base_image "${baseImage}"`, {
      hint,
    });
  }
  if (os === 'ubuntu' && !/^[a-z]+$/.test(series)) {
    throw new PublishError(
      'publish.base-image',
      `Cannot publish ${file}: base_image "${baseImage}" is none MAAS knows: it takes code names`,
      { hint: '22.04 is jammy, 24.04 is noble: --base-image ubuntu/noble' },
    );
  }
  return base;
}
