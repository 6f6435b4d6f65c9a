/** Sequences that move the cursor end a line: full-screen programs write no newline. */
const MOVES = /\u001b\[[0-9;]*[HfABEFd]/g;
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[()][A-Z0-9]|[@-Z\\^_=>78c])/g;
/** An escape sequence that the end of a chunk cut. */
const CUT = /\u001b(?:\[[0-9;?]{0,32}[ -/]{0,4}|[()]|\][^\u0007\u001b]{0,256})?$/;
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;
const LONGEST = 4096;

/** Cuts what a console writes into lines without escape sequences, however it was cut on the way. */
export class ConsoleLines {
  #held = '';
  /** The line that has not ended: a prompt, as a rule. */
  partial = '';

  /** The lines that `text` completes. A line longer than 4096 characters comes in pieces. */
  push(text: string): string[] {
    const all = this.#held + text;
    const cut = CUT.exec(all.slice(-300));
    const length = all.length - (cut === null ? 0 : cut[0].length);
    this.#held = all.slice(length);
    const plain = all.slice(0, length).replace(MOVES, '\n').replace(ESCAPES, '').replace(CONTROLS, '');
    const lines = (this.partial + plain).split(/\r\n|\n|\r(?!$)/);
    this.partial = lines.pop() ?? '';
    const whole = lines.flatMap(pieces);
    const rest = pieces(this.partial);
    this.partial = rest.pop() ?? '';
    return [...whole, ...rest];
  }
}

function pieces(line: string): string[] {
  if (line.length <= LONGEST) return [line];
  const parts: string[] = [];
  for (let at = 0; at < line.length; at += LONGEST) parts.push(line.slice(at, at + LONGEST));
  return parts;
}
