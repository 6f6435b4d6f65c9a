import { columns, humanSize } from '../formats/human.ts';
import { type Difference, differencesText } from './differences.ts';
import type { Plan } from './plan.ts';
import { cloudImageText } from './plan-cloudimg.ts';

/** @param entry the catalogue entry that `differs` compares with */
export function planText(plan: Plan, entry?: string, differs: readonly Difference[] = []): string {
  const { source, machine, maas } = plan;
  const from = describeSource(source);
  const steps = plan.steps.map((step, at) => [`  ${at + 1}.`, step.kind, step.name ?? describeStep(step)]);
  return [
    ...columns([
      [
        'recipe',
        `${plan.recipe} (${[plan.title, plan.arch, ...(plan.layout === undefined ? [] : [`layout ${plan.layout}`])].join(', ')})`,
      ],
      ['grade', `${plan.grade}: ${plan.proven}`],
      ['source', from],
      [
        'machine',
        `${humanSize(machine.memory)} memory, ${machine.cpus} cpus, ${humanSize(machine.disk)} disk${onInterface(machine)}, ${machine.firmware}`,
      ],
      ['login', `${plan.user}, with a key made for the build`],
    ]),
    'steps',
    ...columns(steps),
    'artifacts',
    ...plan.artifacts.map(({ filetype, file }) => `  ${file} (${filetype})`),
    `maas      name ${maas.name}, title ${maas.title}, architecture ${maas.architecture}, base_image ${maas.base_image}`,
    ...(differs.length === 0 ? [] : [`differs from the default of ${entry} in`, ...differencesText(differs)]),
    ...plan.warnings.map((warning) => `note: ${warning}`),
  ].join('\n');
}

function describeSource(source: Plan['source']): string {
  if (source.kind === 'cloudimg') return cloudImageText(source);
  if (source.kind === 'packages') {
    const { suite, mirror = "the host's own mirror", include } = source;
    return `${suite} from ${mirror}, ${include.length} packages and what they need`;
  }
  const { iso, isoNames, boot, answers, keys } = source;
  const medium = iso ?? `a medium given with --iso FILE${isoNames === undefined ? '' : ` (${isoNames})`}`;
  const ways = answers.map(({ on, files }) => `${files.map(({ path }) => path).join(', ')} (${on})`);
  const started = boot === 'kernel' ? 'its kernel started directly' : 'its own boot loader';
  return [medium, started, ...(keys === undefined ? [] : ['keys typed']), ...ways].join('; ');
}

function describeStep(step: Plan['steps'][number]): string {
  switch (step.kind) {
    case 'packages':
      return step.install.join(' ');
    case 'upload':
    case 'download':
      return `${step.from} → ${step.to}`;
    case 'shell':
      return step.file ?? (step.script ?? '').split('\n', 1)[0] ?? '';
    case 'write':
      return step.path;
    case 'breakpoint':
      return step.note ?? '';
    default:
      return '';
  }
}

function onInterface({ diskInterface }: Plan['machine']): string {
  return diskInterface === undefined ? '' : ` on ${diskInterface}`;
}
