/** Every rule there is, in the order they are told. */
import { hygieneRules } from '../hygiene.ts';
import type { Rule } from '../rule.ts';
import { archiveRules } from './archive.ts';
import { artifactRules } from './artifact.ts';
import { bootRules } from './boot.ts';
import { cloudInitRules } from './cloud-init.ts';
import { curtinRules } from './curtin.ts';
import { diskRules } from './disk.ts';
import { kernelRules } from './kernel.ts';
import { namingRules } from './naming.ts';
import { systemRules } from './system.ts';

export const RULES: readonly Rule[] = [
  ...artifactRules,
  ...namingRules,
  ...archiveRules,
  ...diskRules,
  ...systemRules,
  ...kernelRules,
  ...bootRules,
  ...cloudInitRules,
  ...curtinRules,
  ...hygieneRules(),
];
