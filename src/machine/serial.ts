import { connect, type Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { MachineError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { ConsoleLines } from './console-lines.ts';
import { CLOUD_INIT_RUNS, type ConsoleFailure, FAILURES, PHASES, SYSTEM_UP, UNKNOWN_USER } from './console-patterns.ts';
import type { Milestone, Milestones } from './milestones.ts';
import { SerialIndex } from './serial-index.ts';

/** How far a guest has come, as its console tells. */
export type BootPhase = Milestone;

const KEPT_LINES = 200;
/**
 * How long what comes is gathered before it is looked at and told, ms. QEMU sends a guest's console byte by byte: to match
 * and tell each takes a processor that an emulated guest needs.
 */
const GATHER_MS = 5;
/** Lines quoted from before the failure was read, and from there on. */
const BEFORE = 12;
const AFTER = 25;
/** After a failure was read, so long a silence ends the lines that explain it, and so long they may take in all. */
const LAST_LINES_MS = 150;
const LAST_LINES_MOST_MS = 1_000;

export interface SerialOptions {
  readonly name: string;
  readonly emit: Emit;
  readonly milestones: Milestones;
  readonly onFailure: (error: MachineError) => void;
  /** File that says when what came (`SerialIndex`). @default none */
  readonly index?: string | undefined;
}

/** Reads a guest's console, notes how far the boot has come, and tells at once when it has failed. */
export class SerialConsole implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #options: SerialOptions;
  readonly #index: SerialIndex | undefined;
  readonly #decoder = new StringDecoder('utf8');
  readonly #lines: string[] = [];
  readonly #cut = new ConsoleLines();
  #gathered = '';
  #gathering: NodeJS.Timeout | undefined;
  #phase: BootPhase | undefined;
  #bytes = 0;
  #up = false;
  #cloudInit: 'unseen' | 'runs' | 'finished' = 'unseen';
  #unknownUser: string | undefined;
  #failure: ConsoleFailure | undefined;
  #quoted: string[] = [];
  #told = false;
  #settle: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;

  private constructor(socket: Socket, options: SerialOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#index = options.index === undefined ? undefined : new SerialIndex(options.index);
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        this.#gathered += this.#decoder.end();
        this.#look();
        resolve();
      });
    });
  }

  /** Settles when QEMU has closed the console and all it wrote has been read. */
  readonly ended: Promise<void>;

  static async connect(path: string, options: SerialOptions): Promise<SerialConsole> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const console = new SerialConsole(socket, options);
    socket.on('error', () => {});
    socket.on('data', (bytes) => console.#gather(bytes));
    return console;
  }

  /** The phase reached last. */
  get phase(): BootPhase | undefined {
    return this.#phase;
  }

  /** Characters read so far; whether they grow tells whether the guest still speaks. */
  get read(): number {
    return this.#bytes;
  }

  /** Whether the console shows a system that has come up: a login prompt, its last target, or cloud-init's last word. */
  get up(): boolean {
    return this.#up;
  }

  /** Whether cloud-init said that it is at work and not yet that it has finished. */
  get cloudInitRuns(): boolean {
    return this.#cloudInit === 'runs';
  }

  /** A user the guest's SSH server said it does not know; empty when it named none. */
  get unknownUser(): string | undefined {
    return this.#unknownUser;
  }

  /** The last lines, escape sequences removed. */
  tail(count = 40): string[] {
    return [...this.#lines, this.#cut.partial].filter((line) => line.trim() !== '').slice(-count);
  }

  /** The guest was reset: it is no longer where it was. */
  restart(): void {
    this.#phase = undefined;
    this.#up = false;
    this.#cloudInit = 'unseen';
  }

  /** Tells a failure that was read and still gathers its last lines now; what is to end the machine is to know it. */
  flush(): void {
    this.#look();
    clearTimeout(this.#settle);
    clearTimeout(this.#deadline);
    const failure = this.#failure;
    if (failure === undefined || this.#told) return;
    this.#told = true;
    const { name, milestones, onFailure } = this.#options;
    const serial = [...this.#quoted, this.#cut.partial].filter((line) => line.trim() !== '');
    const evidence = { serial, reached: milestones.text() };
    onFailure(new MachineError(failure.code, `Cannot boot ${name}: ${failure.what}`, { hint: failure.hint, evidence }));
  }

  #gather(bytes: Buffer): void {
    this.#index?.note(bytes.length);
    this.#gathered += this.#decoder.write(bytes);
    this.#gathering ??= setTimeout(() => this.#look(), GATHER_MS);
  }

  /** Looks at what has been gathered. */
  #look(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const text = this.#gathered;
    this.#gathered = '';
    if (text !== '') this.#take(text);
  }

  #take(text: string): void {
    this.#bytes += text.length;
    this.#options.emit({ type: 'output', phase: 'boot', stream: 'serial', text });
    for (const line of this.#cut.push(text)) {
      if (line.trim() === '') continue;
      this.#lines.push(line.slice(0, 1000));
      if (this.#lines.length > KEPT_LINES) this.#lines.shift();
      if (this.#failure !== undefined && this.#quoted.length < BEFORE + AFTER) this.#quoted.push(line.slice(0, 1000));
      this.#match(line);
    }
    // A prompt ends without a newline.
    if (this.#cut.partial !== '') this.#match(this.#cut.partial);
    if (this.#failure !== undefined && !this.#told) {
      clearTimeout(this.#settle);
      this.#settle = setTimeout(() => this.flush(), LAST_LINES_MS);
    }
  }

  #match(line: string): void {
    for (const [phase, pattern] of PHASES) {
      if (phase === this.#phase || !pattern.test(line)) continue;
      this.#phase = phase;
      this.#options.milestones.reach(phase);
      if (phase === 'login prompt' || phase === 'cloud-init') this.#up = true;
      if (phase === 'cloud-init') this.#cloudInit = 'finished';
    }
    if (SYSTEM_UP.test(line)) this.#up = true;
    if (CLOUD_INIT_RUNS.test(line)) this.#cloudInit = 'runs';
    const unknown = UNKNOWN_USER.exec(line);
    if (unknown !== null) this.#unknownUser = unknown[1] ?? unknown[2] ?? '';
    this.#failure ??= this.#doom(line);
  }

  #doom(line: string): ConsoleFailure | undefined {
    const failure = FAILURES.find(({ pattern }) => pattern.test(line));
    if (failure === undefined) return undefined;
    this.#quoted = this.#lines.slice(-BEFORE);
    this.#deadline = setTimeout(() => this.flush(), LAST_LINES_MOST_MS);
    return failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#look();
    clearTimeout(this.#settle);
    clearTimeout(this.#deadline);
    this.#socket.destroy();
    await this.#index?.end();
  }
}
