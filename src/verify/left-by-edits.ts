import type { Edit } from '../filesystem/file-tree.ts';
import type { Facts } from './facts.ts';
import type { Problem } from './rule.ts';
import { pathText, type TreeFacts } from './tree-facts.ts';

/** An edit of a seal; `of` is what it is made in, where not in both. */
export type SealEdit = readonly [kind: Edit['kind'], path: string, of?: 'tree'];

/** More of one kind say nothing new. */
const SHOWN = 5;

/** What a seal's edits would still change in the tree: each of them a thing that ships. */
export function leftByEdits(edits: readonly SealEdit[], { tree, disk }: Facts): readonly Problem[] {
  if (tree === undefined) return [];
  const problems: Problem[] = [];
  for (const [kind, path, of] of edits) {
    if (of === 'tree' && disk !== undefined) continue;
    const found = matches(tree, path.split('/').slice(1));
    for (const one of found.filter((each) => ships(tree, each)).slice(0, SHOWN)) {
      if (kind === 'empty') problems.push({ message: 'it is not empty', path: `/${one}` });
      else if (kind === 'remove') problems.push({ message: 'it is there', path: `/${one}` });
      else problems.push({ message: `there are ${tree.inside(one).length} names in it`, path: `/${one}` });
    }
  }
  return problems;
}

/** What systemd takes for an empty machine id (machine-id(5)). */
const UNSET = 'uninitialized';

/** Whether something is inherited by what is at `path`: empty files, folders of them and links to them harm nobody. */
function ships(tree: TreeFacts, path: string): boolean {
  const entry = tree.own(path);
  if (entry?.kind === 'directory') return tree.inside(path).some((inner) => ships(tree, pathText(inner)));
  const file = tree.node(path);
  if (file?.kind !== 'file' || (file.data?.size ?? 0) === 0) return false;
  // The link of one machine id to the other is told where it leads.
  if (entry?.kind === 'symlink') return false;
  return (tree.text(path) ?? '').trim() !== UNSET;
}

/** Paths that a pattern of an edit names; "*" stands for any run of characters but a slash. */
function matches(tree: TreeFacts, parts: readonly string[]): string[] {
  let found = [''];
  for (const part of parts) {
    found = found.flatMap((folder) => {
      const prefix = folder === '' ? '' : `${folder}/`;
      if (!part.includes('*')) return tree.own(`${prefix}${part}`) === undefined ? [] : [`${prefix}${part}`];
      const pattern = new RegExp(`^${part.split('*').map(escaped).join('.*')}$`);
      return tree
        .inside(folder)
        .map((entry) => pathText(entry).split('/').at(-1) ?? '')
        .filter((name) => pattern.test(name))
        .map((name) => `${prefix}${name}`);
    });
  }
  return found;
}

function escaped(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
}
