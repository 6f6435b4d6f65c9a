/** The QEMU command of a build before anything of it is there. */
import { shellWord } from '../formats/shell-word.ts';
import { type AcceleratorPolicy, chooseAccelerator } from '../machine/accelerator.ts';
import { machineArgv } from '../machine/argv.ts';
import { BOARDS } from '../machine/board.ts';
import { type Firmware, findFirmware } from '../machine/firmware.ts';
import { imageMachine } from '../recipe/image-machine.ts';
import type { Plan } from '../recipe/plan.ts';

export interface PlannedCommand {
  /** The program, and what it is given; files of the run are in RUN, sockets in SOCKETS. */
  readonly argv: readonly [program: string, ...arguments: string[]];
  /** Why the accelerator it names was chosen. */
  readonly accelerator: string;
}

const RUN = 'RUN';
const SOCKETS = 'SOCKETS';

/**
 * The command of the machine that `plan` is provisioned in, as `compose build` would start it on this host. The machine of
 * an installer has its medium and kernel besides. The accelerator is proved, as before a build; nothing is written.
 * @throws HostError `qemu.missing`, `firmware.missing` and those of `chooseAccelerator`
 */
export async function plannedCommand(
  { recipe, arch, machine }: Pick<Plan, 'recipe' | 'arch' | 'machine'>,
  policy?: AcceleratorPolicy,
): Promise<PlannedCommand> {
  const spec = imageMachine(recipe, arch, machine, `${RUN}/disk.qcow2`, `${RUN}/seed.iso`);
  const { secureBoot, machineType, cpuModel } = machine;
  const accelerator = await chooseAccelerator(arch, policy, { cpuModel });
  const firmware =
    spec.firmware === 'uefi' ? inRun(await findFirmware(arch, { secureBoot, machine: machineType })) : undefined;
  const argv = machineArgv(spec, {
    accelerator,
    firmware,
    qmpSocket: `${SOCKETS}/qmp`,
    serialSocket: `${SOCKETS}/serial`,
    serialLog: `${RUN}/serial.log`,
    attachSocket: `${SOCKETS}/attach`,
    ...(spec.tpm && { tpmSocket: `${SOCKETS}/tpm` }),
  });
  const { kind, reason } = accelerator;
  return { argv: [BOARDS[arch].qemu, ...argv], accelerator: `${kind.toUpperCase()}: ${reason}` };
}

/** The variables belong to the run. */
function inRun(firmware: Firmware): Firmware {
  return { ...firmware, vars: firmware.vars && { ...firmware.vars, path: `${RUN}/efivars.fd` } };
}

/** One option with its value a line, each to be typed as it stands. */
export function commandText({ argv, accelerator }: PlannedCommand): string {
  const [program, ...rest] = argv;
  const lines: string[] = [];
  for (const word of rest) {
    if (word.startsWith('-')) lines.push(word);
    else lines.push(`${lines.pop() ?? ''} ${shellWord(word)}`);
  }
  return [`command   ${accelerator}`, ...[program, ...lines].map((line) => `  ${line} \\`)]
    .join('\n')
    .replace(/ \\$/, '');
}
