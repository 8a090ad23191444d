import { availableParallelism } from 'node:os';

import type { Bench, Figure } from './harness.ts';
import type { EstimateResult, Request, TrainResult } from './large/run.ts';

import { type Project, writeProject } from './large/project.ts';
import { runScript } from './run-script.ts';
import { inScratchFolder } from './scratch.ts';

/** `MUSUBI_BENCH_SMALL=1` tries the bench in a minute: thin models of two blocks, without bars. */
const isSmall = Boolean(process.env['MUSUBI_BENCH_SMALL']);

/** `MUSUBI_BENCH_LARGE` names runs, e.g. `wan_14b_fp8,wan_14b_int8`. */
const chosen =
  process.env['MUSUBI_BENCH_LARGE']?.split(',') ??
  (isSmall ? ['wan_1_3b_int8'] : ['wan_1_3b_fp8', 'wan_1_3b_int8', 'wan_14b_int8']);

const bases = { fp8: ['--fp8_base', '--fp8_scaled'], int8: ['--int8_base'] };
const models = [
  {
    name: 'wan_1_3b',
    task: 't2v-1.3B',
    picture: isSmall ? ([64, 64] as const) : ([832, 480] as const),
    steps: 5,
    gib: 10,
  },
  {
    name: 'wan_14b',
    task: 't2v-14B',
    picture: isSmall ? ([64, 64] as const) : ([256, 256] as const),
    steps: 1,
    gib: 24,
  },
] as const;

export const bench: Bench = {
  title: `whole LoRA runs with 8-bit base weights of Wan 2.1's published shapes, random weights, ${availableParallelism()} threads${isSmall ? ', SMALL' : ''}`,
  async run(log) {
    const names = models.flatMap(({ name }) => Object.keys(bases).map((base) => `${name}_${base}`));
    const unknown = chosen.find((name) => !names.includes(name));
    if (unknown !== undefined) throw new Error(`MUSUBI_BENCH_LARGE: no run ${unknown}, only ${names.join(', ')}`);
    const figures: Figure[] = [];
    for (const { name, gib, steps, ...project } of models) {
      const runs = Object.entries(bases).filter(([base]) => chosen.includes(`${name}_${base}`));
      if (runs.length === 0) continue;
      const measured = await inScratchFolder(async (folder) => {
        log(`${name}: writing the checkpoint in bfloat16 …`);
        await writeProject(folder, { ...project, isSmall } satisfies Project);
        const found: Figure[] = [];
        for (const [base, options] of runs) {
          found.push(
            ...(await measureRun(
              `${name}_${base}`,
              { folder, gib, options: [...options, ...shared(project.task, steps)] },
              log,
            )),
          );
        }
        return found;
      });
      figures.push(...measured);
    }
    return figures;
  },
};

const shared = (task: string, steps: number): string[] =>
  [
    `--task ${task} --dit dit.safetensors --dataset_config dataset.toml`,
    '--network_module networks.lora_wan --network_dim 16 --network_alpha 16',
    '--optimizer_type AdamW --learning_rate 1e-4 --gradient_checkpointing --mixed_precision no',
    `--max_train_steps ${steps} --seed 1 --output_dir output --output_name lora`,
  ].flatMap((line) => line.split(' '));

async function measureRun(
  name: string,
  { gib, ...request }: Omit<Request, 'kind'> & { gib: number },
  log: (line: string) => void,
): Promise<Figure[]> {
  const script = new URL('large/run.ts', import.meta.url);
  log(`${name}: musubi estimate …`);
  const said = await runScript<EstimateResult>(script, { ...request, kind: 'estimate' } satisfies Request);
  log(`${name}: musubi train …`);
  const run = await runScript<TrainResult>(script, { ...request, kind: 'train' } satisfies Request);
  if (!run.losses.every(Number.isFinite)) throw new Error(`${name}: losses ${run.losses.join(', ')}`);
  const step = run.seconds.at(-1) ?? NaN;
  const bar = isSmall ? {} : { atMost: gib };
  return [
    { name: `${name}_resident_gib`, value: run.residentBytes / 2 ** 30, unit: 'GiB', ...bar },
    { name: `${name}_anonymous_gib`, value: run.wholeAnonymousBytes / 2 ** 30, unit: 'GiB' },
    { name: `${name}_estimate_gib`, value: said.anonymousBytes / 2 ** 30, unit: 'GiB' },
    { name: `${name}_estimate_memory_ratio`, value: said.anonymousBytes / run.wholeAnonymousBytes, unit: 'x measured' },
    { name: `${name}_start_s`, value: run.startSeconds, unit: 's' },
    { name: `${name}_step_s`, value: step, unit: 's' },
    { name: `${name}_estimate_step_s`, value: said.stepSeconds, unit: 's' },
    { name: `${name}_estimate_time_ratio`, value: said.stepSeconds / step, unit: 'x measured' },
  ];
}
