import { RecipeError } from '../errors.ts';

/** Markup of XML 1.0, one alternative for each: comment, CDATA, processing instruction, declaration, tag. */
const MARKUP =
  /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<!(?!--|\[CDATA\[)[^>]*>|<(\/?)([A-Za-z_:][^\s/>]*)((?:[^>"']|"[^"]*"|'[^']*')*?)(\/?)>/y;
const MOST_BYTES = 8 * 1024 * 1024;

/**
 * Checks that `bytes` are XML whose elements are nested well and whose root is `root`. What they mean is the business
 * of the installer.
 * @param name of the file in messages
 * @throws RecipeError `seed.xml` with the line
 */
export function checkXml(bytes: Uint8Array, name: string, root: string): void {
  if (bytes.length > MOST_BYTES) throw new RecipeError('seed.xml', `Cannot use ${name}: it is longer than 8 MiB`);
  const text = decode(bytes);
  const wrong = (at: number, why: string): RecipeError => {
    const line = text.slice(0, at).split('\n').length;
    return new RecipeError('seed.xml', `Cannot use ${name}: line ${line}: ${why}`);
  };
  const open: { name: string; at: number }[] = [];
  let rootSeen = false;
  for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', MARKUP.lastIndex)) {
    MARKUP.lastIndex = at;
    const match = MARKUP.exec(text);
    if (match === null) throw wrong(at, 'a "<" begins no tag');
    const [, closing, tag, , empty] = match;
    if (tag === undefined) continue;
    if (closing === '/') {
      const last = open.pop();
      if (last?.name !== tag) throw wrong(at, `</${tag}> closes ${last === undefined ? 'nothing' : `<${last.name}>`}`);
      continue;
    }
    if (open.length === 0) {
      if (rootSeen) throw wrong(at, `<${tag}> is a second root`);
      if (tag !== root) throw wrong(at, `its root is <${tag}>, and should be <${root}>`);
      rootSeen = true;
    }
    if (empty !== '/') open.push({ name: tag, at });
  }
  const last = open.at(-1);
  if (last !== undefined) throw wrong(last.at, `<${last.name}> is not closed`);
  if (!rootSeen) throw new RecipeError('seed.xml', `Cannot use ${name}: it has no <${root}>`);
}

/** By its byte order mark, else UTF-8. */
function decode(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  return new TextDecoder().decode(bytes);
}
