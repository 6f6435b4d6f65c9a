import type { NetworkFacts } from './network-sight.ts';

/** Why nothing more is to be expected of a guest. */
export interface Stillness {
  /** `quiet`: it has come up; `stalled`: it has not; `spinning`: it has not, and its processors are busy. */
  readonly kind: 'quiet' | 'stalled' | 'spinning';
  readonly ms: number;
  readonly network: NetworkFacts | undefined;
  /** A user the guest says it does not know. */
  readonly unknownUser: string | undefined;
  /** For the evidence of an error. */
  readonly evidence: { readonly reached: string[]; readonly serial: string[]; readonly network: string };
}
