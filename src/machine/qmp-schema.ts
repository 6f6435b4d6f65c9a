import { MachineError } from '../errors.ts';
import { isRecord } from '../formats/qmp.ts';

/** QEMU 7.2 tells of 1051 things, 216 of them commands. */
const MAX_ENTITIES = 20_000;
/** Steps of one walk; the deepest arguments compose sends take some tens. Types that refer to each other end here. */
const MAX_STEPS = 10_000;

type Entity = Readonly<Record<string, unknown>>;
interface Member {
  readonly name: string;
  readonly type: string;
  readonly optional: boolean;
}

/** Something this QEMU does not take: `what` names it, as `the argument format`. */
export interface Mismatch {
  readonly kind: 'command' | 'argument' | 'value';
  readonly what: string;
}

/**
 * What a QEMU takes, from its answer to `query-qmp-schema` (QEMU qapi/introspect.json). Types have no names that mean
 * anything, so they are only walked, from a command's arguments downwards. What cannot be understood is taken to fit:
 * the schema tells what is missing, and QEMU itself is the judge of the rest.
 */
export class QmpSchema {
  readonly #entities = new Map<string, Entity>();

  /** @throws MachineError `qmp.schema` when it is no schema */
  constructor(answer: unknown) {
    const wrong = (why: string): MachineError =>
      new MachineError('qmp.schema', `Cannot tell what this QEMU can do: its schema is damaged (${why})`);
    if (!Array.isArray(answer)) throw wrong('no list');
    if (answer.length > MAX_ENTITIES) throw wrong(`${answer.length} entries`);
    for (const entity of answer) {
      if (!isRecord(entity) || typeof entity.name !== 'string') throw wrong('an entry without a name');
      this.#entities.set(entity.name, entity);
    }
    if (this.#command('query-qmp-schema') === undefined) throw wrong('it does not tell of itself');
  }

  /** Names of all commands. */
  get commands(): string[] {
    return [...this.#entities.values()].filter((one) => one['meta-type'] === 'command').map((one) => String(one.name));
  }

  /**
   * Whether there is such a command; such an argument of it (`format`; `keys.data` for what lies in it, through lists
   * and variants); and such a value of that, where it is an enumeration.
   */
  has(command: string, argument?: string, value?: string): boolean {
    const found = this.#command(command);
    if (found === undefined) return false;
    if (argument === undefined) return value === undefined;
    let types = [text(found['arg-type'])];
    for (const name of argument.split('.')) {
      types = this.#objects(types).flatMap((type) => this.#anyMember(type, name));
      if (types.length === 0) return false;
    }
    return value === undefined || this.#leaves(types).some((type) => enumValues(type)?.includes(value));
  }

  hasEvent(event: string): boolean {
    return this.#entities.get(event)?.['meta-type'] === 'event';
  }

  /** The first thing of a command that this QEMU does not take; undefined when it takes it. */
  mismatch(command: string, args: object): Mismatch | undefined {
    const found = this.#command(command);
    if (found === undefined) return { kind: 'command', what: 'the command' };
    return new Walk(this.#entities, false).compare(text(found['arg-type']), args, '');
  }

  /** The same for what a command is said to answer; that it answers more is no mismatch. */
  answerMismatch(command: string, answer: unknown): Mismatch | undefined {
    const found = this.#command(command);
    if (found === undefined) return { kind: 'command', what: 'the command' };
    return new Walk(this.#entities, true).compare(text(found['ret-type']), answer, '');
  }

  /** The same for an event's data. */
  eventMismatch(event: string, data: object): Mismatch | undefined {
    if (!this.hasEvent(event)) return { kind: 'command', what: 'the event' };
    return new Walk(this.#entities, true).compare(text(this.#entities.get(event)?.['arg-type']), data, '');
  }

  #command(name: string): Entity | undefined {
    const found = this.#entities.get(name);
    return found?.['meta-type'] === 'command' ? found : undefined;
  }

  /** The types reached from `names` through lists and alternates. */
  #leaves(names: readonly string[]): Entity[] {
    const seen = new Set<string>();
    const queue = [...names];
    const leaves: Entity[] = [];
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      const type = this.#entities.get(name);
      if (type === undefined || seen.has(name)) continue;
      seen.add(name);
      if (type['meta-type'] === 'array') queue.push(text(type['element-type']));
      else if (type['meta-type'] === 'alternate') queue.push(...records(type.members).map((one) => text(one.type)));
      else leaves.push(type);
    }
    return leaves;
  }

  #objects(names: readonly string[]): Entity[] {
    return this.#leaves(names).filter((type) => type['meta-type'] === 'object');
  }

  /** Types of the members of that name, of the object itself and of all its variants. */
  #anyMember(object: Entity, name: string): string[] {
    const variants = records(object.variants).map((variant) => this.#entities.get(text(variant.type)) ?? {});
    return [object, ...variants].flatMap((one) => members(one).filter((member) => member.name === name)).map(typeOf);
  }
}

/** Compares one value with one type. */
class Walk {
  readonly #entities: ReadonlyMap<string, Entity>;
  /** An answer: members that are mandatory may be missing from what compose says of it. */
  readonly #partial: boolean;
  #steps = 0;

  constructor(entities: ReadonlyMap<string, Entity>, partial: boolean) {
    this.#entities = entities;
    this.#partial = partial;
  }

  /** `path` is where the value lies, '' for the whole of it. */
  compare(typeName: string, value: unknown, path: string): Mismatch | undefined {
    const type = this.#entities.get(typeName);
    if (type === undefined || ++this.#steps > MAX_STEPS) return undefined;
    const wrong = (): Mismatch => {
      const shown = JSON.stringify(value).slice(0, 60);
      return { kind: 'value', what: `the value ${shown} of ${path || 'it'}` };
    };
    switch (type['meta-type']) {
      case 'builtin':
        return fits(text(type['json-type']), value) ? undefined : wrong();
      case 'enum':
        return typeof value === 'string' && enumValues(type)?.includes(value) !== false ? undefined : wrong();
      case 'array':
        if (!Array.isArray(value)) return wrong();
        return first(value, (one) => this.compare(text(type['element-type']), one, path));
      case 'alternate': {
        // QAPI puts no alternate into an alternate; one that is there would be walked in a circle.
        const types = records(type.members).map((member) => text(member.type));
        const flat = types.filter((name) => this.#entities.get(name)?.['meta-type'] !== 'alternate');
        if (flat.length < types.length) return undefined;
        return flat.some((name) => this.compare(name, value, path) === undefined) ? undefined : wrong();
      }
      case 'object':
        return isRecord(value) ? this.#object(type, value, path) : wrong();
      default:
        return undefined;
    }
  }

  #object(type: Entity, value: Record<string, unknown>, path: string): Mismatch | undefined {
    const known = this.#members(type, value);
    const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
    const given = Object.entries(value).filter(([, one]) => one !== undefined);
    const missing = [...known.values()].find((one) => !this.#partial && !one.optional && value[one.name] === undefined);
    return (
      first(given, ([name, one]) => {
        const member = known.get(name);
        if (member === undefined) return { kind: 'argument', what: `the argument ${at(name)}` };
        return this.compare(member.type, one, at(name));
      }) ??
      (missing && { kind: 'argument', what: `a command without the argument ${at(missing.name)}` })
    );
  }

  /** An object's own members, and those of the variant that its tag names. */
  #members(type: Entity, value: Record<string, unknown>): Map<string, Member> {
    const variant = records(type.variants).find((one) => one.case === value[text(type.tag)]);
    const more = this.#entities.get(text(variant?.type)) ?? {};
    return new Map([...members(type), ...members(more)].map((member) => [member.name, member]));
  }
}

function fits(jsonType: string, value: unknown): boolean {
  switch (jsonType) {
    case 'string':
    case 'boolean':
    case 'number':
      return typeof value === jsonType;
    case 'int':
      return Number.isInteger(value);
    case 'null':
      return value === null;
    default:
      return true;
  }
}

function members(type: Entity): Member[] {
  return records(type.members).map((one) => ({
    name: text(one.name),
    type: text(one.type),
    optional: Object.hasOwn(one, 'default'),
  }));
}

/** `members` since QEMU 6.2, which made `values` a thing of the past. */
function enumValues(type: Entity): string[] | undefined {
  if (type['meta-type'] !== 'enum') return undefined;
  const values = Array.isArray(type.values) ? type.values : records(type.members).map((member) => member.name);
  return values.map(text);
}

function records(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function typeOf(member: Member): string {
  return member.type;
}

function first<T, R>(list: readonly T[], test: (one: T) => R | undefined): R | undefined {
  for (const one of list) {
    const found = test(one);
    if (found !== undefined) return found;
  }
  return undefined;
}
