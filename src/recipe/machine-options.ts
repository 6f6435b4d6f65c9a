import type { Arch } from '../machine/arch.ts';
import { machineArgv } from '../machine/argv.ts';
import { BOARDS } from '../machine/board.ts';
import { imageMachine, type MachineOptions } from './image-machine.ts';
import type { Recipe } from './schema.ts';

/**
 * The options of a recipe's machine, tried on the arguments of a machine as the build will make it.
 * @throws UsageError for a machine that cannot be, and for extra arguments that collide with what compose manages
 */
export function machineOptions(recipe: Pick<Recipe, 'name' | 'machine'>, arch: Arch, memory: number): MachineOptions {
  const {
    cpus,
    firmware,
    secure_boot,
    tpm,
    cpu_model,
    machine_type,
    disk_interface,
    topology,
    nic,
    video,
    extra_args,
  } = recipe.machine;
  const options: MachineOptions = {
    ...(secure_boot !== undefined && { secureBoot: secure_boot }),
    ...(tpm !== undefined && { tpm }),
    ...(cpu_model !== undefined && { cpuModel: cpu_model }),
    ...(machine_type !== undefined && { machineType: machine_type }),
    ...(disk_interface !== undefined && { diskInterface: disk_interface }),
    ...(topology !== undefined && { topology }),
    ...(nic !== undefined && { nic }),
    ...(video !== undefined && { video }),
    ...(extra_args !== undefined && { extraArgs: extra_args }),
  };
  const machine = { memory, cpus, disk: 0, firmware, ...options };
  const spec = imageMachine(recipe.name, arch, machine, 'disk', 'seed');
  const accelerator = { kind: 'tcg', cpu: BOARDS[arch].cpu.tcg } as const;
  const paths = { qmpSocket: 'qmp', serialSocket: 'serial', serialLog: 'log', ...(tpm && { tpmSocket: 'tpm' }) };
  machineArgv(spec, { accelerator, firmware: undefined, ...paths });
  return options;
}
