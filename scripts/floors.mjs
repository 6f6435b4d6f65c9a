// The house has floors (design section 2): a file imports only from its own floor or below, nothing imports the CLI,
// formats/ touches no `node:` module, and no import goes round in a circle. This fails the build when one does.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const FLOORS = [
  ['errors', 'events'],
  ['formats', 'host'],
  ['disk', 'filesystem', 'seed', 'answers', 'machine', 'guest'],
  ['pack', 'verify', 'publish', 'recipe', 'recipes', 'tune'],
  ['build'],
  ['index'],
  ['cli'],
];

/** @param {Map<string, string>} files path from the root → text. @returns {string[]} what is wrong, a line each */
export function checkFloors(files) {
  const floorOf = (file) => {
    const parts = file.split('/');
    const room = parts[0] === 'recipes' ? 'recipes' : parts.length === 2 ? parts[1].replace(/\.ts$/, '') : parts[1];
    const floor = FLOORS.findIndex((rooms) => rooms.includes(room));
    return { room, floor };
  };
  const problems = [];
  const graph = new Map();
  for (const [file, text] of files) {
    const { room, floor } = floorOf(file);
    if (floor < 0) {
      problems.push(`${file}: is in no room of the house`);
      continue;
    }
    const targets = [];
    const imports = text.matchAll(/(?:^|\n)\s*(?:import|export)\s[^;]*?from\s*'([^']+)'|import\(\s*'([^']+)'\s*\)/g);
    for (const match of imports) {
      const specifier = match[1] ?? match[2];
      if (room === 'formats' && specifier.startsWith('node:')) {
        problems.push(`${file}: imports ${specifier}; formats/ is bytes only`);
      }
      if (!specifier.startsWith('.')) continue;
      const target = normalize(join(dirname(file), specifier));
      if (!files.has(target)) {
        problems.push(`${file}: imports ${specifier}, which is not there`);
        continue;
      }
      targets.push(target);
      const to = floorOf(target);
      if (to.floor > floor)
        problems.push(`${file}: ${room} may not import ${to.room} (${specifier}): it is a floor above`);
    }
    graph.set(file, targets);
  }
  return [...problems, ...circles(graph)];
}

function circles(graph) {
  const found = [];
  const state = new Map();
  const visit = (file, trail) => {
    if (state.get(file) === 'done') return;
    const at = trail.indexOf(file);
    if (at >= 0) {
      found.push(`circle: ${[...trail.slice(at), file].join(' → ')}`);
      return;
    }
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    state.set(file, 'done');
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

function sources(root) {
  const files = new Map();
  for (const folder of ['src', 'recipes']) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const path = join(entry.parentPath, entry.name);
      files.set(relative(root, path), readFileSync(path, 'utf8'));
    }
  }
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = sources(fileURLToPath(new URL('..', import.meta.url)));
  const problems = checkFloors(files);
  for (const problem of problems) console.error(problem);
  console.log(`floors: ${files.size} files, ${problems.length} problems`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
