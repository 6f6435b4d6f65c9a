/** One recipe for people: what it builds, from what, what it needs, how to change it. */
import { columns } from '../formats/human.ts';
import { FILE_TYPES } from '../pack/filetypes.ts';
import { customFlag } from './answer-inputs.ts';
import { gradesOf } from './grades.ts';
import { flatten, layoutNames } from './overlay.ts';
import { ANSWERS_URL, isGenerated, VOLUME } from './planned-answers.ts';
import type { Recipe } from './schema.ts';
import { archValues } from './values.ts';
import { interpolate } from './variables.ts';

/** @param tools programs of the host that a build of each kind of source needs */
export function showText(recipe: Recipe, tools: Readonly<Record<string, readonly string[]>>): string {
  const layouts = layoutNames(recipe);
  const variants = (layouts.length === 0 ? [undefined] : layouts).map((layout) => ({
    layout,
    whole: byDefault(flatten(recipe, layout, recipe.arch[0] ?? 'amd64')),
  }));
  const sections: [title: string, lines: string[]][] = [
    ['what it builds', variants.flatMap(({ layout, whole }, at) => builds(layout, whole, at === 0))],
    ['from', [...new Set(variants.flatMap(({ whole }) => origins(whole)))]],
    [
      'what it needs',
      needs(
        variants.map(({ whole }) => whole),
        tools,
      ),
    ],
    [
      'how to change it',
      changes(
        recipe,
        variants.map(({ whole }) => whole),
      ),
    ],
    ['what MAAS is told', variants.map(({ layout, whole }) => maasLine(layout, whole))],
    ['how far it is proven', proofs(recipe)],
  ];
  const head = `${recipe.name}: ${recipe.title}, for ${recipe.arch.join(' and ')}`;
  return [head, ...sections.flatMap(([title, lines]) => ['', title, ...lines.map((line) => `  ${line}`)])].join('\n');
}

/** Texts with the defaults of variables in them; what has none stays as it is written. */
function byDefault(recipe: Recipe): Recipe {
  const [arch = 'amd64'] = recipe.arch;
  const defaults = Object.entries(recipe.variables).flatMap(([name, { default: value, secret }]) =>
    value === undefined || value === '' || secret ? [[name, `\${${name}}`]] : [[name, String(value)]],
  );
  const known = { ...Object.fromEntries(defaults), ...archValues(arch), answers_url: ANSWERS_URL, volume: VOLUME };
  const { variables, sources, maas } = recipe;
  return { ...recipe, variables, ...interpolate({ sources, maas }, known, recipe.name) };
}

function builds(layout: string | undefined, { outputs, machine }: Recipe, first: boolean): string[] {
  const kinds = outputs.map((type) => `${type} (${FILE_TYPES[type].content === 'tree' ? 'a tree' : 'a disk'})`);
  const made = `${kinds.join(', ')}; in a machine of ${machine.memory} memory, ${machine.cpus} cpus, ${machine.disk} disk, ${machine.firmware}`;
  if (layout === undefined) return [made];
  return [`--layout ${layout}${first ? ' (the default)' : ''}: ${made}`];
}

function origins({ sources }: Recipe): string[] {
  const { cloudimg, packages, installer } = sources;
  return [
    ...(cloudimg === undefined
      ? []
      : [
          cloudimg.url === undefined
            ? "the vendor's cloud image, a file that is given"
            : `the vendor's cloud image ${cloudimg.url}, checked by ${cloudimg.sums}`,
        ]),
    ...(packages === undefined
      ? []
      : [`packages of ${packages.suite} (${packages.components.join(', ')}), --source packages`]),
    ...(installer === undefined ? [] : [`the vendor's installer${medium(installer)}`]),
  ];
}

function medium({ iso, checksum }: NonNullable<Recipe['sources']['installer']>): string {
  if (iso === undefined) return ', a medium that is given';
  return checksum === undefined ? ` ${iso}` : ` ${iso}, checked by ${checksum.sums ?? checksum.value}`;
}

function needs(variants: readonly Recipe[], tools: Readonly<Record<string, readonly string[]>>): string[] {
  const kinds = [...new Set(variants.flatMap(({ sources }) => Object.keys(sources)))];
  const images = variants.flatMap(({ sources: { cloudimg } }) =>
    cloudimg === undefined || cloudimg.url !== undefined
      ? []
      : [`image: ${cloudimg.image_names ?? cloudimg.file_name ?? 'of its vendor'} (to be given with --image FILE)`],
  );
  const media = variants.flatMap(({ sources: { installer } }) => {
    if (installer === undefined) return [];
    const names = installer.iso_names ?? installer.file_name ?? 'the medium of its vendor';
    const how = installer.iso === undefined ? 'to be given with --iso FILE' : 'downloaded, or given with --iso FILE';
    return [`medium: ${names} (${how})`];
  });
  return [
    ...kinds.map((kind) => `${kind}: ${(tools[kind] ?? []).join(', ')}`),
    ...new Set([...images, ...media]),
    'compose doctor NAME looks whether this host has it all',
  ];
}

function changes(recipe: Recipe, variants: readonly Recipe[]): string[] {
  const variables = new Map(variants.flatMap(({ variables }) => Object.entries(variables)));
  const rows = [...variables].map(([key, { type, default: value, describe, secret }]) => {
    const text = secret && value ? '***' : String(value ?? '');
    return [`--set ${key}=`, type, text === '' ? 'nothing' : text, describe];
  });
  const languages = variants.flatMap(({ sources: { installer } }) =>
    installer?.language === undefined || !isGenerated(installer) ? [] : [installer.language],
  );
  return [
    ...columns([['variable', 'type', 'default', 'what it is'], ...rows]),
    ...[...new Set(languages)].map(
      (language) => `${customFlag(language)} FILE adds your own ${language} to the answers`,
    ),
    `compose init my-image --from ${recipe.name} writes a recipe with packages, users, keys and scripts of your own`,
  ];
}

function maasLine(layout: string | undefined, { maas }: Recipe): string {
  const facts = [
    `name ${maas.name}`,
    `title ${maas.title}`,
    `architecture ${maas.architecture}`,
    `base_image ${maas.base_image}`,
    ...(maas.user === undefined ? [] : [`user ${maas.user}`]),
    ...(maas.minimum_maas === undefined ? [] : [`MAAS ${maas.minimum_maas} or newer`]),
    ...(maas.minimum_curtin === undefined ? [] : [`curtin ${maas.minimum_curtin} or newer`]),
    ...(maas.preseed === undefined ? [] : ['a preseed of its own']),
  ];
  return `${layout === undefined ? '' : `${layout}: `}${facts.join(', ')}`;
}

function proofs(recipe: Recipe): string[] {
  const grades = gradesOf(recipe);
  const told = new Map<string, string[]>();
  for (const { layout, arch, grade, proven } of grades) {
    const what = `${grade}: ${proven}`;
    told.set(what, [...(told.get(what) ?? []), layout === undefined ? arch : `${layout} ${arch}`]);
  }
  return [
    ...[...told].map(([what, places]) => `${places.join(', ')}: ${what}`),
    `evidence: ${[...new Set(grades.flatMap(({ evidence }) => evidence))].join(', ')}`,
  ];
}
