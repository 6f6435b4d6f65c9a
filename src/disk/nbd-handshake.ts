import type { PackError } from '../errors.ts';
import {
  encodeClientFlags,
  encodeGo,
  encodeOption,
  encodeSetMetaContext,
  NBD_OPTION,
  NBD_REPLY,
  NbdHandshakeDecoder,
  type NbdHandshakeMessage,
  nbdDamaged,
  optionError,
  parseExportInfo,
  parseMetaContext,
} from '../formats/nbd.ts';

const ALLOCATION = 'base:allocation';
/** Answers to one option that are taken; a server with more to say would never come to the end. */
const OPTION_REPLIES_LIMIT = 64;

export interface NbdHandshakeOptions {
  /** Sends bytes to the server; throws when the connection is gone. */
  readonly write: (bytes: Uint8Array) => void;
  /** Makes the error for an option the server refused. */
  readonly refused: (why: string) => PackError;
}

/** What was agreed on. */
export interface NbdExport {
  /** Bytes. */
  readonly size: number;
  /** Number of base:allocation in the server's answers; undefined when it does not have it. */
  readonly context: number | undefined;
}

/** The client's side of the handshake. Bytes come in by `push`, in any pieces. */
export class NbdHandshake {
  readonly #options: NbdHandshakeOptions;
  readonly #decoder = new NbdHandshakeDecoder();
  readonly #messages: NbdHandshakeMessage[] = [];
  #wake: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: NbdHandshakeOptions) {
    this.#options = options;
  }

  /** @throws FormatError `nbd.damaged` */
  push(bytes: Uint8Array): void {
    this.#messages.push(...this.#decoder.push(bytes));
    if (this.#messages.length > OPTION_REPLIES_LIMIT) throw nbdDamaged('its answer to an option has no end');
    this.#wake?.();
  }

  /** Nothing more will come. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake?.();
  }

  /** Agrees on structured replies and base:allocation, and enters the export `name`. Throws as `NbdSession.connect`. */
  async negotiate(name: string): Promise<NbdExport> {
    let context: number | undefined;
    let size: number | undefined;
    await this.#next('greeting');
    this.#options.write(encodeClientFlags());
    const structured = await this.#option(NBD_OPTION.structuredReply, encodeOption(NBD_OPTION.structuredReply));
    if (structured !== undefined) throw this.#options.refused(`its server has no structured replies (${structured})`);
    // A server that knows no contexts still has the bytes; without one nothing is known to be zero.
    await this.#option(NBD_OPTION.setMetaContext, encodeSetMetaContext(name, ALLOCATION), (reply, data) => {
      const told = reply === NBD_REPLY.metaContext ? parseMetaContext(data) : undefined;
      if (told?.name === ALLOCATION) context = told.id;
    });
    const refusal = await this.#option(NBD_OPTION.go, encodeGo(name), (reply, data) => {
      if (reply === NBD_REPLY.info) size = parseExportInfo(data)?.size ?? size;
    });
    if (refusal !== undefined) throw this.#options.refused(`its server does not give the export (${refusal})`);
    if (size === undefined) throw nbdDamaged('it does not tell the size of the export');
    if (this.#messages.length > 0 || this.#decoder.pending > 0) throw nbdDamaged('it sent more than was asked for');
    return { size, context };
  }

  /** Sends an option and tells `onReply` of each answer before the last; answers why it was refused, if it was. */
  async #option(
    option: number,
    bytes: Uint8Array,
    onReply: (reply: number, data: Uint8Array) => void = () => {},
  ): Promise<string | undefined> {
    this.#options.write(bytes);
    for (let count = 0; count < OPTION_REPLIES_LIMIT; count++) {
      const message = await this.#next('reply');
      if (message.option !== option) throw nbdDamaged(`it answers option ${message.option}, not ${option}`);
      if (message.reply === NBD_REPLY.ack) return undefined;
      const refusal = optionError(message.reply, message.data);
      if (refusal !== undefined) return refusal;
      onReply(message.reply, message.data);
    }
    throw nbdDamaged(`its answer to option ${option} has no end`);
  }

  async #next<T extends NbdHandshakeMessage['type']>(type: T): Promise<Extract<NbdHandshakeMessage, { type: T }>> {
    while (this.#messages.length === 0) {
      if (this.#failure !== undefined) throw this.#failure.error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#messages.shift()!;
    if (message.type !== type) throw nbdDamaged(`it sent a ${message.type}, not a ${type}`);
    return message as Extract<NbdHandshakeMessage, { type: T }>;
  }
}
