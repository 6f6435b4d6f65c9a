/**
 * The events compose knows, with the data it reads of them (QEMU qapi/*.json). QEMU sends others too, and at most one
 * a second of some kinds (qmp-spec, "Asynchronous events").
 */
import type { QmpEvent } from '../formats/qmp.ts';

type None = Readonly<Record<string, never>>;
/** ShutdownCause (qapi/run-state.json): `guest-shutdown`, `guest-reset`, `guest-panic`, `host-qmp-quit`, `host-signal` … */
interface Cause {
  readonly guest: boolean;
  readonly reason: string;
}
interface Device {
  /** The id; a device without one has only its path. */
  readonly device?: string;
  readonly path: string;
}
/** From pvpanic, or from the paravirtual panic of Hyper-V. */
interface Panic {
  readonly action: 'pause' | 'poweroff' | 'run';
  readonly info?: { readonly type: string };
}
interface BlockJob {
  readonly type: string;
  readonly device: string;
  readonly len: number;
  readonly offset: number;
  readonly speed: number;
}
interface VncClient {
  readonly client: { readonly host: string; readonly service: string };
}

export interface QmpEvents {
  SHUTDOWN: Cause;
  /** A guest that reboots is a RESET, or a SHUTDOWN where QEMU runs with `-action reboot=shutdown`. */
  RESET: Cause;
  /** The power button was pressed; the guest need not heed it. */
  POWERDOWN: None;
  STOP: None;
  RESUME: None;
  SUSPEND: None;
  SUSPEND_DISK: None;
  WAKEUP: None;
  GUEST_PANICKED: Panic;
  /** The guest panicked and its crash kernel took over. */
  GUEST_CRASHLOADED: Panic;
  /** pvpanic's orderly shutdown, QEMU 9.1 and later. */
  GUEST_PVSHUTDOWN: None;
  WATCHDOG: { readonly action: string };
  MEMORY_FAILURE: { readonly recipient: string; readonly action: string };
  DEVICE_TRAY_MOVED: { readonly device: string; readonly id: string; readonly 'tray-open': boolean };
  DEVICE_DELETED: Device;
  DEVICE_UNPLUG_GUEST_ERROR: Device;
  BLOCK_IO_ERROR: {
    readonly device: string;
    readonly 'node-name'?: string;
    readonly operation: 'read' | 'write';
    readonly action: 'ignore' | 'report' | 'stop';
    readonly nospace?: boolean;
    readonly reason: string;
  };
  BLOCK_IMAGE_CORRUPTED: { readonly device: string; readonly msg: string; readonly fatal: boolean };
  BLOCK_JOB_COMPLETED: BlockJob & { readonly error?: string };
  BLOCK_JOB_CANCELLED: BlockJob;
  BLOCK_JOB_READY: BlockJob;
  JOB_STATUS_CHANGE: { readonly id: string; readonly status: string };
  RTC_CHANGE: { readonly offset: number };
  VSERPORT_CHANGE: { readonly id: string; readonly open: boolean };
  NIC_RX_FILTER_CHANGED: { readonly name?: string; readonly path: string };
  VNC_CONNECTED: VncClient;
  VNC_INITIALIZED: VncClient;
  VNC_DISCONNECTED: VncClient;
}

export type QmpEventName = keyof QmpEvents;

/** An event by name. Its data are as QEMU promises them, not checked. */
export type QmpEventOf<Name extends QmpEventName> = {
  [N in Name]: { readonly event: N; readonly data: QmpEvents[N]; readonly at: number };
}[Name];

/** Which events are wanted: one name, several, or a test of each. */
export type QmpEventFilter = string | readonly string[] | ((event: QmpEvent) => boolean);

export function eventTest(filter: QmpEventFilter | undefined): (event: QmpEvent) => boolean {
  if (filter === undefined) return () => true;
  if (typeof filter === 'function') return filter;
  return typeof filter === 'string' ? ({ event }) => event === filter : ({ event }) => filter.includes(event);
}
