export interface Partition {
  /** What Linux calls it: the slot in a GPT, 1 to 4 or from 5 on in an MBR. */
  readonly number: number;
  /** Bytes. */
  readonly start: number;
  /** Bytes. */
  readonly size: number;
  /** Lower-case GUID in a GPT, two hex digits in an MBR. */
  readonly type: string;
  /** Of a GPT partition that has one. */
  readonly name?: string;
  /** PARTUUID, lower case: a GUID in a GPT, `xxxxxxxx-NN` in an MBR with a disk signature. */
  readonly uuid?: string;
  /** Set where a BIOS boot loader would start from it: active in an MBR, legacy-bootable in a GPT. */
  readonly bootable?: boolean;
}

export interface PartitionTable {
  readonly scheme: 'gpt' | 'mbr' | 'none';
  /** GUID of the disk, or the eight hex digits of an MBR's disk signature. */
  readonly uuid?: string;
  /** Bytes of the blocks the table counts in. */
  readonly sectorSize?: number;
  /** In the order of their numbers; an MBR's extended partition, which only holds others, is not among them. */
  readonly partitions: readonly Partition[];
  /** What is wrong with the table and did not keep it from being read, a sentence each. */
  readonly notes?: readonly string[];
}
