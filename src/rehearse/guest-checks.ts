import { humanSize } from '../formats/human.ts';
import type { GuestSession } from '../guest/session.ts';
import type { Deployed } from './deploy.ts';

/** One thing that is looked at in the deployed system. */
export interface RehearsalCheck {
  readonly name: 'kernel' | 'root writable' | 'root grown' | 'failed units' | 'cloud-init' | 'secure boot';
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly found: string;
  readonly expected: string;
  /** Code of the failure it makes. */
  readonly code: string;
}

export interface Expected {
  readonly deployed: Deployed;
  /** What the root file system may be at most: the disk without its other partitions, bytes. */
  readonly room: number;
  readonly secureBoot: boolean;
}

/** Part of its room that a grown file system has at least: ext4 keeps up to a twentieth for its own tables. */
const GROWN = 0.85;

/** One command, so that an emulated guest starts few processes; busybox has all of it. */
const LOOK = `
echo "kernel=$(uname -r)"
echo "root=$(awk '$2 == "/" { found = $4 } END { print found }' /proc/mounts)"
echo "size=$(df -Pk / | awk 'NR == 2 { print $2 }')"
if [ -d /run/systemd/system ]; then
  echo "units=$(systemctl --failed --no-legend --plain | awk '{ print $1 }' | tr '\\n' ' ')"
else
  echo "units=-"
fi
if command -v cloud-init >/dev/null; then
  echo "cloud=$(cloud-init status --long 2>&1 | tr '\\n' ' ')"
else
  echo "cloud=-"
fi
for file in /sys/firmware/efi/efivars/SecureBoot-*; do
  [ ! -e "$file" ] || echo "secure=$(tail -c 1 "$file" | od -An -tu1 | tr -d ' ')"
done
`;

/** Looks at the deployed system. @throws ProvisionError `ssh.lost` */
export async function checkGuest(
  session: GuestSession,
  expected: Expected,
  signal: AbortSignal,
): Promise<RehearsalCheck[]> {
  const { stdout } = await session.exec(LOOK, { signal });
  return judge(stdout, expected);
}

/** What the guest's answers say, apart from the guest. */
export function judge(answers: string, { deployed, room, secureBoot }: Expected): RehearsalCheck[] {
  const facts = new Map(answers.split('\n').map((line) => line.split(/=(.*)/s, 2) as [string, string]));
  const fact = (name: string): string => (facts.get(name) ?? '').trim();
  const check = (
    name: RehearsalCheck['name'],
    code: string,
    found: string,
    expected: string,
    fine: boolean | undefined,
  ) => ({ name, code, found, expected, state: fine === undefined ? 'skipped' : fine ? 'passed' : 'failed' }) as const;
  const size = Number(fact('size')) * 1024;
  const least = Math.floor(room * GROWN);
  const writable = fact('root').split(',').includes('rw');
  const { kernel } = deployed;
  const units = fact('units');
  const cloud = fact('cloud');
  const status = /status:\s*(\S+)/.exec(cloud)?.[1];
  const checks: RehearsalCheck[] = [
    check(
      'kernel',
      'rehearse.kernel',
      fact('kernel'),
      kernel ?? 'the newest in /boot',
      kernel === undefined ? undefined : fact('kernel') === kernel,
    ),
    check('root writable', 'rehearse.root-read-only', fact('root').split(',')[0] ?? '', 'rw', writable),
    check('root grown', 'rehearse.root-not-grown', humanSize(size), `at least ${humanSize(least)}`, size >= least),
    check('failed units', 'rehearse.failed-units', units || 'none', 'none', units === '-' ? undefined : units === ''),
    check(
      'cloud-init',
      'rehearse.cloud-init',
      cloud === '-' ? 'not there' : (status ?? cloud),
      'done',
      cloud === '-' ? undefined : status === 'done',
    ),
  ];
  if (secureBoot) {
    const on = fact('secure') === '1';
    checks.push(check('secure boot', 'rehearse.secure-boot-off', on ? 'on' : 'off', 'on', on));
  }
  return checks;
}
