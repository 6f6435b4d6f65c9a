/** One line of /etc/fstab (fstab(5)), its escapes undone. */
export interface FstabEntry {
  /** What is mounted: `UUID=…`, `LABEL=…`, `/dev/…`, `tmpfs`, `host:/path` … */
  readonly spec: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** The entries of an fstab, in order. Comments and lines of fewer than two fields are left out, as mount does. */
export function parseFstab(text: string): FstabEntry[] {
  const entries: FstabEntry[] = [];
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const [spec, mountPoint, type = 'auto', options = 'defaults'] = trimmed.split(/[ \t]+/).map(unescaped);
    if (spec === undefined || mountPoint === undefined) continue;
    entries.push({ spec: unquote(spec), mountPoint, type, options: options.split(',') });
  }
  return entries;
}

/** `\040` and the like. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** `LABEL="a b"`: libmount takes the quotes off the value of a tag. */
function unquote(spec: string): string {
  return spec.replace(/^([A-Z]+)=(["'])(.*)\2$/, '$1=$3');
}

/** A partition or logical volume as the names in an fstab find it. */
export interface Named {
  readonly number: number | undefined;
  readonly uuid: string | undefined;
  readonly label: string | undefined;
  readonly partUuid: string | undefined;
  readonly partLabel: string | undefined;
  /** Paths below /dev that are this one on every machine: those of a logical volume. */
  readonly devices?: readonly string[];
}

/** `/dev/sda1`, `/dev/nvme0n1p1`: the name of the disk and the number of the partition. */
const DEVICE = /^\/dev\/((?:sd|vd|xvd|hd)[a-z]+|(?:nvme\d+n|mmcblk|nbd|loop)\d+)(?:(?<=\d)p|(?<=[a-z]))(\d+)$/;
const FIRST_DISK = /^(?:(?:sd|vd|xvd|hd)a|nvme0n1|mmcblk0)$/;
const BY_LINK = /^\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/(.+)$/;

/**
 * The one of `candidates` that `spec` names. A `/dev/…` name counts when it is on `disk`, or, where that is not known,
 * on the first disk of its kind.
 */
export function resolveSpec<T extends Named>(spec: string, candidates: readonly T[], disk?: string): T | undefined {
  const link = BY_LINK.exec(spec);
  const tag = link === null ? /^([A-Z]+)=(.+)$/.exec(spec) : [spec, link[1]!.toUpperCase(), unescapeLink(link[2]!)];
  if (tag !== null) {
    const value = tag[2]!;
    const same = (text: string | undefined): boolean => text?.toLowerCase() === value.toLowerCase();
    switch (tag[1]) {
      case 'UUID':
        return candidates.find((one) => same(one.uuid));
      case 'LABEL':
        return candidates.find((one) => one.label === value);
      case 'PARTUUID':
        return candidates.find((one) => same(one.partUuid));
      case 'PARTLABEL':
        return candidates.find((one) => one.partLabel === value);
      default:
        return undefined;
    }
  }
  const mapped = candidates.find((one) => one.devices?.includes(spec));
  if (mapped !== undefined) return mapped;
  const device = DEVICE.exec(spec);
  if (device === null || !(disk === undefined ? FIRST_DISK.test(device[1]!) : device[1] === disk)) return undefined;
  return candidates.find((one) => one.number === Number(device[2]));
}

/** The disk in a `/dev/…` name of a partition. */
export function diskOfSpec(spec: string): string | undefined {
  return DEVICE.exec(spec)?.[1];
}

/** udev writes bytes a link cannot hold as `\x20`. */
function unescapeLink(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
