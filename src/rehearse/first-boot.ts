import { join } from 'node:path';
import { isComposeError, ProvisionError } from '../errors.ts';
import type { Context } from '../events.ts';
import { keepaliveFor } from '../guest/attempt.ts';
import { connectGuest } from '../guest/connect.ts';
import type { GuestSession } from '../guest/session.ts';
import { makeFolder } from '../host/make-folder.ts';
import { deadline } from '../host/within.ts';
import type { AcceleratorPolicy } from '../machine/accelerator.ts';
import type { Arch } from '../machine/arch.ts';
import type { Firmware } from '../machine/firmware.ts';
import type { MachineSpec } from '../machine/spec.ts';
import { type RunningMachine, startMachine } from '../machine/start.ts';
import type { Stillness } from '../machine/watch-guest.ts';
import type { Deployed } from './deploy.ts';
import { bootFailure, type Failure, failure, SECURE_BOOT, type StageName } from './failure.ts';
import { checkGuest, type RehearsalCheck } from './guest-checks.ts';
import type { Identity } from './identity.ts';
import type { MetadataService } from './metadata-server.ts';
import { machineNetwork } from './network.ts';
import type { StatusEvent } from './status-event.ts';
import type { RehearsalFirmware } from './storage-layout.ts';
import type { Timeline } from './timeline.ts';

export interface FirstBootWork {
  readonly arch: Arch;
  readonly firmware: RehearsalFirmware;
  readonly flash: Firmware | undefined;
  readonly secureBoot: boolean;
  readonly memory: number;
  readonly target: string;
  readonly room: number;
  readonly deployed: Deployed;
  readonly service: MetadataService;
  readonly identity: Identity;
  readonly accelerator: AcceleratorPolicy | undefined;
  readonly runDir: string;
}

export interface FirstBoot {
  readonly checks: readonly RehearsalCheck[];
  readonly failure: Failure | undefined;
}

/** Budgets under KVM; a slower accelerator multiplies them. */
const BOOT_MS = 90_000;
const CLOUD_INIT_MS = 120_000;
const LOGIN_MS = 60_000;
const SHUTDOWN_MS = 60_000;
const TAIL = 25;
/** How a firmware tells of a boot entry it may not start, before it tells that there is none left. */
const REFUSED = /BdsDxe: failed to (?:load|start) .*(?:Access Denied|Security Violation)/;

/**
 * Starts the installed disk by its own boot loader and follows it as MAAS would: it asks for its metadata, signed; it is
 * deployed once it asks for its user data; cloud-init reports its end. Then a person's part: a login with the given key.
 */
export async function firstBoot(work: FirstBootWork, timeline: Timeline, context: Context): Promise<FirstBoot> {
  const folder = join(work.runDir, 'boot');
  await makeFolder(folder, { mode: 0o700 });
  const spec: MachineSpec = {
    name: 'rehearsal',
    arch: work.arch,
    memory: work.memory,
    cpus: 2,
    firmware: work.firmware,
    secureBoot: work.secureBoot,
    ssh: true,
    ...machineNetwork(work.service.network, work.service.port),
    video: 'standard',
    disks: [{ path: work.target, format: 'qcow2', scratch: true }],
  };
  timeline.begin('boot');
  const start = { runDir: folder, policy: work.accelerator, firmware: work.flash };
  await using machine = await startMachine(spec, start, context);
  return await new Boot(work, machine, timeline, context).follow();
}

class Boot {
  readonly #work: FirstBootWork;
  readonly #machine: RunningMachine;
  readonly #timeline: Timeline;
  readonly #context: Context;
  /** What came in before this boot is the deployment's. */
  readonly #events: number;
  readonly #requests: number;
  #checks: readonly RehearsalCheck[] = [];

  constructor(work: FirstBootWork, machine: RunningMachine, timeline: Timeline, context: Context) {
    this.#work = work;
    this.#machine = machine;
    this.#timeline = timeline;
    this.#context = context;
    this.#events = work.service.events.length;
    this.#requests = work.service.requests.length;
  }

  async follow(): Promise<FirstBoot> {
    const asked = (): true | undefined => (this.#newRequests().length > 0 ? true : undefined);
    const userData = (): true | undefined =>
      this.#newRequests().some(({ item, signed }) => item === 'user-data' && signed === 'signed') || undefined;
    const ended = (): StatusEvent | undefined => this.#newEvents().find(isEnd);
    const failed =
      (await this.#await('boot', BOOT_MS, asked)) ??
      (await this.#await('metadata', CLOUD_INIT_MS, userData)) ??
      (await this.#await('cloud-init', CLOUD_INIT_MS, ended)) ??
      this.#cloudInitFailed(ended()) ??
      (await this.#logIn());
    return { checks: this.#checks, failure: failed };
  }

  #newEvents(): readonly StatusEvent[] {
    return this.#work.service.events.slice(this.#events);
  }
  #newRequests(): MetadataService['requests'] {
    return this.#work.service.requests.slice(this.#requests);
  }

  /** Ends the stage when `look` sees something, or answers why it will not. */
  async #await<T>(stage: StageName, budgetMs: number, look: () => T | undefined): Promise<Failure | undefined> {
    if (this.#timeline.stage !== stage) this.#timeline.begin(stage);
    const machine = this.#machine;
    const over = new AbortController();
    const limit = deadline(budgetMs * machine.accelerator.timeScale);
    const signal = AbortSignal.any([this.#context.signal, limit, over.signal]);
    const seen = this.#work.service.until(look, signal).then(() => undefined);
    seen.catch(() => {});
    let conclude = (_: Failure): void => {};
    const quiet = new Promise<Failure>((resolve) => {
      conclude = resolve;
    });
    const onStill = async (still: Stillness): Promise<boolean> => {
      if (still.kind !== 'quiet') return false;
      conclude(this.#silent(stage, `it has come up and does nothing more (for ${Math.round(still.ms / 1000)} s)`));
      return true;
    };
    await using _watching = await machine.watch.attend({ onStill });
    try {
      const failed = await Promise.race([seen, quiet, machine.failure]);
      if (failed === undefined) this.#timeline.end('passed', this.#detail(stage));
      return failed;
    } catch (error) {
      this.#context.signal.throwIfAborted();
      if (limit.aborted)
        return this.#silent(
          stage,
          `its time is up (${Math.round((budgetMs * machine.accelerator.timeScale) / 1000)} s)`,
        );
      return this.#bootFailure(error, stage);
    } finally {
      over.abort();
    }
  }

  #detail(stage: StageName): string | undefined {
    const at = this.#machine.milestones.reached.at(-1)?.milestone;
    if (stage === 'boot') return `${this.#machine.accelerator.kind}; it asks for metadata`;
    return stage === 'metadata' ? 'signed; MAAS would call it deployed' : at;
  }

  #bootFailure(error: unknown, stage: StageName): Failure {
    const found = bootFailure(error, stage);
    if (found === undefined) throw error;
    const { serial } = found.evidence;
    if (this.#work.secureBoot && Array.isArray(serial) && serial.some((line: string) => REFUSED.test(line))) {
      return { ...found, ...SECURE_BOOT };
    }
    const kernel = this.#work.deployed.withoutInitrd;
    // A kernel that was seen to lack its initrd does not find its root.
    if (kernel === undefined || !/\.(?:panic|root-not-found|stalled)$/.test(found.code)) return found;
    return {
      ...found,
      code: 'rehearse.no-initrd',
      message: `Cannot deploy: the kernel does not find its root, and there is no initrd (${kernel})`,
      hint: 'Pack the tree with the initrd of its kernel.',
    };
  }

  /** Nothing more comes: what was missed, by how far the machine came. */
  #silent(stage: StageName, how: string): Failure {
    const { serial, milestones } = this.#machine;
    const requests = this.#newRequests();
    const refused = requests.find(({ status }) => status === 401);
    const evidence = {
      reached: milestones.text(),
      serial: serial.tail(TAIL),
      requests: requests.map(({ item, status }) => `${item || 'listing'}: ${status}`).slice(-10),
      events: this.#newEvents()
        .map(({ type, name, result }) => `${type} ${name} ${result ?? ''}`.trim())
        .slice(-10),
    };
    const known = requests.some(({ signed }) => signed === 'signed');
    if (refused !== undefined && !known) {
      const why = typeof refused.signed === 'string' ? refused.signed : refused.signed.wrong;
      return failure(
        stage,
        'rehearse.unsigned',
        `the machine asks for metadata without its signature (${why}); ${how}`,
        {
          hint: 'cloud-init signs with python3-oauthlib, by the keys in /etc/cloud/cloud.cfg.d/95-cloudconfig-maas-cloud-config.cfg.',
          evidence,
        },
      );
    }
    if (stage === 'boot' || stage === 'metadata') {
      return failure(
        stage,
        'rehearse.no-metadata',
        `the machine never asked for its ${stage === 'boot' ? 'metadata' : 'user data'}: ${how}`,
        {
          hint: 'Its cloud-init must know the MAAS datasource, find its configuration in /etc/cloud/cloud.cfg.d, and have a network.',
          evidence,
        },
      );
    }
    return failure(stage, 'rehearse.cloud-init-silent', `cloud-init never reported its end: ${how}`, {
      hint: 'It reports by the webhook in 95-cloudconfig-maas-reporting.cfg; its log is /var/log/cloud-init.log on the disk.',
      evidence,
    });
  }

  #cloudInitFailed(end: StatusEvent | undefined): Failure | undefined {
    if (end?.result !== 'FAIL') return undefined;
    return failure(
      'cloud-init',
      'rehearse.cloud-init',
      `cloud-init reported a failure of ${end.name}: ${end.description}`,
      {
        hint: 'MAAS takes this for a failed deployment.',
        evidence: { serial: this.#machine.serial.tail(TAIL) },
      },
    );
  }

  async #logIn(): Promise<Failure | undefined> {
    const { identity, deployed, room, secureBoot } = this.#work;
    const { ssh, failure: failed, watch, accelerator, runDir } = this.#machine;
    const { signal } = this.#context;
    this.#timeline.begin('login');
    const options = {
      host: ssh?.host ?? '127.0.0.1',
      port: ssh?.port ?? 22,
      username: identity.user,
      privateKey: identity.userKey.privateKey,
      hostKey: identity.hostKey.publicKey,
      budgetMs: LOGIN_MS * accelerator.timeScale,
      keepalive: keepaliveFor(accelerator.timeScale),
      failure: failed,
      watch,
      transcript: join(runDir, 'ssh.log'),
    };
    try {
      await using session = await connectGuest(options, this.#context);
      this.#timeline.end('passed', `as ${identity.user}`);
      this.#timeline.begin('checks');
      this.#checks = await checkGuest(session, { deployed, room, secureBoot }, signal);
      const wrong = this.#checks.find(({ state }) => state === 'failed');
      if (wrong !== undefined) return this.#wrong(wrong);
      this.#timeline.end('passed', this.#checks.map(({ name, state }) => `${name} ${state}`).join(', '));
      this.#timeline.begin('power off');
      await this.#powerOff(session);
      this.#timeline.end('passed');
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      const stage = this.#timeline.stage ?? 'login';
      if (!(error instanceof ProvisionError)) {
        if (stage === 'power off' && isComposeError(error)) return this.#stuck(error.message);
        return this.#bootFailure(error, stage);
      }
      return failure(stage, 'rehearse.login', `${error.message} (${error.code})`, {
        hint: 'The key comes by MAAS’s public-keys, the host key by user data; both are cloud-init’s to apply.',
        evidence: { ...error.evidence, ssh: error.code },
      });
    }
  }

  #wrong({ name, code, found, expected }: RehearsalCheck): Failure {
    return failure('checks', code, `${name}: found ${found}, expected ${expected}`, {
      hint: 'The deployed system runs, but not as it should; boot/ssh.log has what it answered.',
      evidence: { found, expected },
    });
  }

  #stuck(message: string): Failure {
    return failure('power off', 'rehearse.power-off', `the system does not power off: ${message}`);
  }

  #powerOff(session: GuestSession): ReturnType<RunningMachine['shutdown']> {
    session.expectEnd();
    const ask = async (): Promise<void> =>
      void (await session.exec('systemctl poweroff || poweroff || shutdown -P now'));
    const { signal } = this.#context;
    return this.#machine.shutdown({ ask, budgetMs: SHUTDOWN_MS * this.#machine.accelerator.timeScale, signal });
  }
}

/** Reports without a slash in their name decide: the last one's end, or the failure of any. */
function isEnd({ type, name, result }: StatusEvent): boolean {
  if (type !== 'finish' || name.includes('/')) return false;
  return result === 'FAIL' || name === 'modules-final';
}
