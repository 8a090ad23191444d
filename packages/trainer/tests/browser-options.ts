/** Options of the runs that are made in Node.js and in browsers: 20 steps of one batch each, saved once before the end. */
export const browserOptions =
  '--max_train_steps 20 --gradient_accumulation_steps 1 --save_every_n_steps 12 --lr_scheduler constant --lr_warmup_steps 0';

/** What the runs save. */
export const savedFiles = ['my_lora-step00000012.safetensors', 'my_lora.safetensors'] as const;

/**
 * What is changed in the files of the recorded run. The software that takes the place of a graphics card needs more than a
 * second for a step of one picture and a short text, and three for a step of the recorded sizes.
 */
export const changedFiles = {
  recorded: {},
  tiny: {
    'model.json': (text: string) => JSON.stringify({ ...(JSON.parse(text) as object), text_len: 16 }),
    'dataset.toml': (text: string) => text.replace(/batch_size *= *\d+/, 'batch_size = 1'),
  },
} satisfies Record<string, Readonly<Record<string, (text: string) => string>>>;

export type RunSize = keyof typeof changedFiles;

export const runSizes = Object.keys(changedFiles) as readonly RunSize[];

/** Runs on the tiny files with the base in bfloat16, as models are published, from which it gets 8 bits. */
export const eightBitRuns = [
  '--fp8_base --fp8_scaled',
  '--fp8_base',
  '--int8_base --gradient_checkpointing',
  '--seed 42',
] as const;

/** Steps of these; WebGPU in software makes the first one of them. */
export const eightBitSteps = 2;
