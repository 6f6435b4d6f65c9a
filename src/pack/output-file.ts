/** A new file that is written from its start to its end. Errors are those of the host. */
export interface OutputFile {
  /** Appends `bytes`, which must stay as they are until it answers. The next call need not wait for that. */
  append(bytes: Uint8Array): Promise<void>;
  /** Appends `length` zeros, as a hole where the file system has them. The next call need not wait for it. */
  skip(length: number): Promise<void>;
  /** Brings it to its storage and closes it. All appends have been waited for. */
  complete(): Promise<void>;
  /** Closes a file that is given up. */
  close(): Promise<void>;
}
