import { closeSync, openSync, readSync, watch as watchFile } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type GuestFrame, readGuestFrame } from '../formats/guest-frame.ts';
import { PcapReader } from '../formats/pcap.ts';
import type { QmpSession } from './qmp.ts';

/** What was seen on the wire between the guest and QEMU's user network. */
export interface NetworkFacts {
  /** Frames the guest sent of its own accord: without replies to our own knocking. */
  readonly frames: number;
  /** Those of them that a program at work sends: TCP and pings, and not names, the time, announcements. */
  readonly work: number;
  readonly dhcpAsked: boolean;
  readonly dhcpGiven: boolean;
  /** The guest uses an address, however it got it. */
  readonly addressUsed: boolean;
  /** What port 22 did with the last connection. */
  readonly port22: 'unknown' | 'refuses' | 'accepts' | 'speaks';
}

const OBJECT = 'compose-sight';
const NETDEV = 'net0';
/** Of each frame so much is captured: enough for every DHCP option. */
const SNAP = 600;
/** The capture ends at this size: a guest that talks so much has a network. */
const MOST = 4 * 1024 * 1024;
const NOTHING = { dhcpAsked: false, dhcpGiven: false, addressUsed: false, port22: 'unknown' };
const PORT: Partial<Record<GuestFrame, NetworkFacts['port22']>> = {
  'ssh refuses': 'refuses',
  'ssh accepts': 'accepts',
  'ssh speaks': 'speaks',
};

/**
 * Looks at the guest's network until it is disposed: QEMU's filter-dump writes the frames to a file in the run folder, and
 * the kernel tells when it has grown. So a lease, a refused and an accepted connection are known when they happen.
 */
export class NetworkSight implements AsyncDisposable {
  readonly #qmp: QmpSession;
  readonly #reader = new PcapReader();
  readonly #onFact: (fact: GuestFrame) => void;
  readonly #facts = { frames: 0, work: 0, ...NOTHING };
  readonly #path: string;
  #watcher: { close(): void } | undefined;
  #file: number | undefined;
  #read = 0;

  private constructor(qmp: QmpSession, path: string, onFact: (fact: GuestFrame) => void) {
    this.#qmp = qmp;
    this.#path = path;
    this.#onFact = onFact;
  }

  /** Starts to look, or answers undefined where this QEMU has no filter-dump. `onFact` is told of each frame. */
  static async open(
    qmp: QmpSession,
    runDir: string,
    onFact: (fact: GuestFrame) => void,
  ): Promise<NetworkSight | undefined> {
    const path = join(runDir, 'network.pcap');
    const sight = new NetworkSight(qmp, path, onFact);
    try {
      // The file must be there before it can be watched, and must not be another run's.
      await writeFile(path, '', { mode: 0o600 });
      sight.#watcher = watchFile(path, () => sight.#take());
      const file = { 'qom-type': 'filter-dump', id: OBJECT, netdev: NETDEV, file: path, maxlen: SNAP } as const;
      await qmp.command('object-add', file);
      sight.#file = openSync(path, 'r');
      sight.#take();
      return sight;
    } catch {
      sight.close();
      return undefined;
    }
  }

  get facts(): NetworkFacts {
    return this.#facts as NetworkFacts;
  }

  #take(): void {
    if (this.#file === undefined) return;
    const buffer = Buffer.alloc(64 * 1024);
    try {
      for (;;) {
        const count = readSync(this.#file, buffer, 0, buffer.length, this.#read);
        if (count === 0) break;
        this.#read += count;
        for (const frame of this.#reader.push(buffer.subarray(0, count))) this.#note(readGuestFrame(frame));
      }
    } catch {
      // A capture that cannot be read tells nothing more; the guest is none the worse for it.
      this.close();
    }
    if (this.#read > MOST) void this[Symbol.asyncDispose]();
  }

  #note(kind: GuestFrame): void {
    const facts = this.#facts;
    const port = PORT[kind];
    if (port !== undefined) facts.port22 = port;
    if (kind === 'dhcp asked') facts.dhcpAsked = true;
    if (kind === 'dhcp given') facts.dhcpGiven = true;
    const sends = kind === 'traffic' || kind === 'work';
    if (kind === 'address used' || sends || port !== undefined) facts.addressUsed = true;
    if (kind === 'other' || sends || kind === 'dhcp asked') facts.frames++;
    if (kind === 'work') facts.work++;
    if (kind !== 'to guest') this.#onFact(kind);
  }

  /** Forgets what was seen: the guest starts again. */
  restart(): void {
    Object.assign(this.#facts, NOTHING);
  }

  /** Looks no longer; QEMU, which is about to end, is told nothing. */
  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#watcher === undefined && this.#file === undefined) return;
    this.close();
    await this.#qmp.command('object-del', { id: OBJECT }).catch(() => {});
  }

  /** Where the frames are, for a person with a packet viewer. */
  get path(): string {
    return this.#path;
  }
}
