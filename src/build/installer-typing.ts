import { parseKeys } from '../machine/key-grammar.ts';
import type { LayoutName } from '../machine/keys-layouts.ts';
import { Screen } from '../machine/screen.ts';
import type { SerialTap } from '../machine/serial-tap.ts';
import type { RunningMachine } from '../machine/start.ts';
import { Typist } from '../machine/typist.ts';

/** Types `keys` at an installer that reads nothing else. @throws the errors of `Typist.type` */
export async function typeAnswers(
  machine: RunningMachine,
  keys: string,
  { layout, serial }: { readonly layout: LayoutName; readonly serial: SerialTap },
  signal: AbortSignal,
): Promise<void> {
  const { qmp, failure, accelerator, spec } = machine;
  const hasScreen = spec.video !== undefined || machine.view !== undefined;
  await using screen = hasScreen ? await Screen.open(qmp) : undefined;
  const { timeScale } = accelerator;
  await new Typist({ qmp, failure, signal, timeScale, layout, screen, serial }).type(parseKeys(keys));
}
