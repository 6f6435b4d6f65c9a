/**
 * The commands compose sends, with what they take and answer (QEMU qapi/*.json). An answer lists the members compose
 * reads; QEMU tells more, and later versions add to it. `QmpSession.has` tells what the QEMU at hand takes of them.
 */
import type { QKeyCode } from './qmp-keys.ts';

type None = Record<string, never>;
interface Command<Arguments, Answer> {
  readonly arguments: Arguments;
  readonly answer: Answer;
}

/** A removable device by the id of its device, not of its drive. */
interface ById {
  readonly id: string;
}

/** A key by name, or by its number in the IBM PC's set 1. */
export type QmpKey =
  | { readonly type: 'qcode'; readonly data: QKeyCode }
  | { readonly type: 'number'; readonly data: number };

export type QmpInput =
  | { readonly type: 'key'; readonly data: { readonly down: boolean; readonly key: QmpKey } }
  | { readonly type: 'btn'; readonly data: { readonly down: boolean; readonly button: 'left' | 'middle' | 'right' } }
  /** Moves by `value`. */
  | { readonly type: 'rel'; readonly data: { readonly axis: 'x' | 'y'; readonly value: number } }
  /** Moves to `value`, 0 to 32767 across the screen. */
  | { readonly type: 'abs'; readonly data: { readonly axis: 'x' | 'y'; readonly value: number } };

/** One of `device` and `node-name` says whose writes go to the new file; `node-name` needs a new name too. */
export interface QmpSnapshot {
  readonly device?: string;
  readonly 'node-name'?: string;
  readonly 'snapshot-file': string;
  readonly 'snapshot-node-name'?: string;
  readonly format?: string;
  /** `existing`: the file is there already, as an overlay made by qemu-img. @default absolute-paths */
  readonly mode?: 'existing' | 'absolute-paths';
}

export type QmpAction =
  | { readonly type: 'blockdev-snapshot-sync'; readonly data: QmpSnapshot }
  | { readonly type: 'abort'; readonly data: None };

export interface QmpVersion {
  readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number };
  readonly package: string;
}

export interface QmpBlockDevice {
  readonly device: string;
  readonly qdev?: string;
  readonly removable: boolean;
  /** The guest holds the tray shut. */
  readonly locked: boolean;
  readonly tray_open?: boolean;
  readonly 'io-status'?: 'ok' | 'failed' | 'nospace';
  readonly inserted?: {
    readonly file: string;
    readonly 'node-name'?: string;
    readonly ro: boolean;
    readonly drv: string;
    readonly image: {
      readonly filename: string;
      readonly format: string;
      readonly 'virtual-size': number;
      readonly 'actual-size'?: number;
    };
  };
}

/** Counted since QEMU started; bytes, operations and nanoseconds. */
export interface QmpBlockStats {
  readonly device?: string;
  readonly qdev?: string;
  readonly 'node-name'?: string;
  readonly stats: {
    readonly rd_bytes: number;
    readonly wr_bytes: number;
    readonly rd_operations: number;
    readonly wr_operations: number;
    readonly flush_operations: number;
    readonly rd_total_time_ns: number;
    readonly wr_total_time_ns: number;
    readonly wr_highest_offset: number;
    readonly failed_rd_operations: number;
    readonly failed_wr_operations: number;
    readonly idle_time_ns?: number;
  };
}

/** `status` is a RunState (qapi/run-state.json): `prelaunch`, `running`, `paused`, `guest-panicked`, `shutdown` … */
interface Running {
  'query-status': Command<None, { readonly status: string; readonly running: boolean }>;
  cont: Command<None, unknown>;
  stop: Command<None, unknown>;
  quit: Command<None, unknown>;
  /** Presses the power button; the guest does with it what it likes. */
  system_powerdown: Command<None, unknown>;
  system_reset: Command<None, unknown>;
  /** What QEMU does when the guest asks for it or fails; `exit-failure` ends QEMU with status 1. */
  'set-action': Command<
    {
      readonly reboot?: 'reset' | 'shutdown';
      readonly shutdown?: 'poweroff' | 'pause';
      readonly panic?: 'pause' | 'shutdown' | 'exit-failure' | 'none';
      readonly watchdog?: 'reset' | 'shutdown' | 'poweroff' | 'pause' | 'debug' | 'none' | 'inject-nmi';
    },
    unknown
  >;
}

interface Introspection {
  qmp_capabilities: Command<{ readonly enable?: readonly 'oob'[] }, unknown>;
  /** Read by `QmpSchema`. */
  'query-qmp-schema': Command<None, readonly unknown[]>;
  'query-version': Command<None, QmpVersion>;
  /** What `-name` gave. */
  'query-name': Command<None, { readonly name?: string }>;
  'query-kvm': Command<None, { readonly enabled: boolean; readonly present: boolean }>;
  'query-cpus-fast': Command<
    None,
    readonly { readonly 'cpu-index': number; readonly 'qom-path': string; readonly 'thread-id': number }[]
  >;
  'query-tpm': Command<
    None,
    readonly { readonly id: string; readonly model: string; readonly options: { readonly type: string } }[]
  >;
  'qom-get': Command<{ readonly path: string; readonly property: string }, unknown>;
  /** Text of the human monitor; lines end in CRLF. Errors are part of the text. */
  'human-monitor-command': Command<{ readonly 'command-line': string; readonly 'cpu-index'?: number }, string>;
}

interface ScreenAndKeys {
  /**
   * Writes the picture of the screen to a file, as QEMU's user. `device` and `head` name one of several screens. It is
   * PPM where `format` is not given; QEMU before 7.1 does not know `format`, and one built without libpng refuses `png`.
   */
  screendump: Command<
    { readonly filename: string; readonly device?: string; readonly head?: number; readonly format?: 'ppm' | 'png' },
    unknown
  >;
  /** Presses the keys together, and lets them go after `hold-time` ms (100 where it is not given). A guest that does not run gets none. */
  'send-key': Command<{ readonly keys: readonly QmpKey[]; readonly 'hold-time'?: number }, unknown>;
  'input-send-event': Command<
    { readonly device?: string; readonly head?: number; readonly events: readonly QmpInput[] },
    unknown
  >;
  'query-vnc': Command<
    None,
    { readonly enabled: boolean; readonly host?: string; readonly service?: string; readonly auth?: string }
  >;
  /** VNC takes eight characters of the password. It is hidden in the log and in errors. */
  set_password: Command<
    {
      readonly protocol: 'vnc';
      readonly password: string;
      readonly connected?: 'keep';
      readonly display?: string;
    },
    unknown
  >;
  /** `time`: `now`, `never`, seconds from now as `+60`, or seconds since 1970. */
  expire_password: Command<{ readonly protocol: 'vnc'; readonly time: string; readonly display?: string }, unknown>;
}

interface Devices {
  'query-block': Command<None, readonly QmpBlockDevice[]>;
  /** `query-nodes`: one entry for each node, not for each device. */
  'query-blockstats': Command<{ readonly 'query-nodes'?: boolean }, readonly QmpBlockStats[]>;
  'blockdev-snapshot-sync': Command<QmpSnapshot, unknown>;
  /** All or none; `grouped` also fails them together when one fails later. */
  transaction: Command<
    {
      readonly actions: readonly QmpAction[];
      readonly properties?: { readonly 'completion-mode'?: 'individual' | 'grouped' };
    },
    unknown
  >;
  /** A tray the guest locked is opened only by `force`; otherwise the guest is asked, and DEVICE_TRAY_MOVED tells. */
  eject: Command<ById & { readonly force?: boolean }, unknown>;
  'blockdev-open-tray': Command<ById & { readonly force?: boolean }, unknown>;
  'blockdev-close-tray': Command<ById, unknown>;
  /** The tray must be open. */
  'blockdev-remove-medium': Command<ById, unknown>;
  /** `force` is known from QEMU 7.1 on. */
  'blockdev-change-medium': Command<
    ById & {
      readonly filename: string;
      readonly format?: string;
      readonly force?: boolean;
      readonly 'read-only-mode'?: 'retain' | 'read-only' | 'read-write';
    },
    unknown
  >;
  /** Asks the guest to let go of a device; DEVICE_DELETED tells when it is gone. */
  device_del: Command<{ readonly id: string }, unknown>;
  /** Of the objects QEMU has, the one compose adds: a copy of what a network backend carries, as a pcap file. */
  'object-add': Command<
    {
      readonly 'qom-type': 'filter-dump';
      readonly id: string;
      readonly netdev: string;
      readonly file: string;
      /** Bytes kept of each frame. */
      readonly maxlen?: number;
    },
    unknown
  >;
  'object-del': Command<{ readonly id: string }, unknown>;
  'query-chardev': Command<
    None,
    readonly { readonly label: string; readonly filename: string; readonly 'frontend-open': boolean }[]
  >;
  /** Takes at most `size` bytes out of a `-chardev ringbuf`. */
  'ringbuf-read': Command<
    { readonly device: string; readonly size: number; readonly format?: 'utf8' | 'base64' },
    string
  >;
}

export interface QmpCommands extends Running, Introspection, ScreenAndKeys, Devices {}
export type QmpCommandName = keyof QmpCommands;
