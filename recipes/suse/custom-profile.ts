/** An operator's own profile (`--custom-autoyast`), laid over ours. */
import { type Element, readXml } from '../../src/answers/autoyast/xml.ts';
import { RecipeError } from '../../src/errors.ts';
import { type Profile, type Value, YastSymbol } from './profile.ts';

/** Sections of which the lists are added to: what an operator asks for besides, which must not lose what the image needs. */
const ADDED = new Set(['software', 'scripts', 'add-on']);

const isMap = (value: Value | undefined): value is Profile =>
  typeof value === 'object' && !Array.isArray(value) && !(value instanceof YastSymbol);

/**
 * Sections of `custom`, a profile or sections alone, take the place of ours; of `software`, `scripts` and `add-on` lists are
 * added behind ours, and the rest takes its place element by element.
 * @throws RecipeError `autoyast.custom`
 */
export function withCustom(profile: Profile, custom: string | undefined): Profile {
  if (custom === undefined) return profile;
  const whole = custom.includes('<profile') ? custom : `<profile>${custom}</profile>`;
  const root = readXml(whole);
  if ('broken' in root) {
    throw new RecipeError('autoyast.custom', `Cannot use the custom profile: line ${root.line}: ${root.broken}`);
  }
  const own = Object.fromEntries(root.children.map((section) => [section.name, asValue(section)]));
  const merged = Object.entries(own).map(([name, value]) => {
    const ours = profile[name];
    return [name, ADDED.has(name) && isMap(ours) && isMap(value) ? together(ours, value) : value];
  });
  return { ...profile, ...Object.fromEntries(merged) };
}

function together(ours: Profile, theirs: Profile): Profile {
  const merged = Object.entries(theirs).map(([name, value]) => {
    const own = ours[name];
    return [name, Array.isArray(own) && Array.isArray(value) ? [...own, ...value] : value];
  });
  return { ...ours, ...Object.fromEntries(merged) };
}

/** By its type where it has one, else a map where it has elements and a text where not. */
function asValue(element: Element): Value {
  const { attributes, children, text } = element;
  const type = attributes.get('config:type') ?? attributes.get('type') ?? attributes.get('t');
  if (type === 'list') return children.map(asValue);
  if (type === 'boolean') return text.trim() === 'true';
  if (type === 'integer') return Number(text.trim());
  if (type === 'symbol') return new YastSymbol(text.trim());
  if (children.length > 0 || type === 'map') {
    return Object.fromEntries(children.map((child) => [child.name, asValue(child)]));
  }
  return element.name === 'source' ? text : text.trim();
}
