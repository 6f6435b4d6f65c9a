/** Checks the actions of autoinstall's storage section: their form, and that each names devices made before it. */
import { meant, type Report, shown } from '../problem.ts';
import type { ShapeChecker } from '../shape/check.ts';
import type { ParsedText } from '../shape/document.ts';
import { ACTION_TYPES } from './shapes.ts';

/** Keys whose values are identifiers of other actions. */
const REFERENCES = ['device', 'volume', 'volgroup', 'container', 'backing_device', 'cache_device', 'nvme_controller'];
const LISTS = ['devices', 'spare_devices', 'vdevs'];

export function checkStorageActions(
  document: ParsedText,
  config: unknown,
  checker: ShapeChecker,
  report: Report,
): void {
  const ids = new Set<string>();
  let root = false;
  for (const [index, action] of (document.items(config) ?? []).entries()) {
    const path = `storage.config[${index}]`;
    const type = document.scalar(document.get(action, 'type'));
    if (typeof type !== 'string') continue;
    if (!(ACTION_TYPES as readonly string[]).includes(type)) {
      const at = document.place(document.get(action, 'type'));
      report.error(at, 'action', `${path} has no type ${shown(type)}`, meant(type, ACTION_TYPES));
      addId(document, action, path, ids, report);
      continue;
    }
    checker.check(action, { is: 'named', name: type }, path);
    for (const { key, node } of references(document, action)) {
      const id = document.scalar(node);
      if (typeof id !== 'string' || ids.has(id) || (key === 'device' && type === 'disk')) continue;
      const why = `${path}.${key} names ${shown(id)}, which no action before it makes`;
      report.error(document.place(node), 'reference', why, meant(id, ids));
    }
    addId(document, action, path, ids, report);
    const place = document.scalar(document.get(action, type === 'zpool' ? 'mountpoint' : 'path'));
    root ||= (type === 'mount' || type === 'zpool') && place === '/';
    root ||= type === 'zfs';
  }
  if (!root && document.items(config) !== undefined) {
    report.error(
      document.place(config),
      'no-root',
      'storage.config mounts nothing at /',
      'Add a mount action with path: /',
    );
  }
}

function references(document: ParsedText, action: unknown): { key: string; node: unknown }[] {
  return (document.entries(action) ?? []).flatMap(({ key, value }) => {
    if (LISTS.includes(key)) return (document.items(value) ?? []).map((node) => ({ key, node }));
    return REFERENCES.includes(key) ? [{ key, node: value }] : [];
  });
}

function addId(document: ParsedText, action: unknown, path: string, ids: Set<string>, report: Report): void {
  const node = document.get(action, 'id');
  const id = document.scalar(node);
  if (typeof id !== 'string') return;
  if (ids.has(id)) report.error(document.place(node), 'duplicate-id', `${path} is a second ${shown(id)}`);
  ids.add(id);
}
