// Started by process.test.ts: the command line in a process of its own, with a trainer that waits for Ctrl-C.
import { setTimeout as sleep } from 'node:timers/promises';
import { processContext } from '../src/context.ts';
import { runCli, type Trainer } from '../src/index.ts';

const trainer: Trainer = {
  async runTraining(_, { logger, signal }) {
    logger('ready');
    for (let waited = 0; waited < 20_000 && !signal.aborted; waited += 10) await sleep(10);
    // A step that takes longer than anybody waits, when told so.
    if (process.env['SLOW_STEP'] === '1') await sleep(20_000);
    return { status: 'interrupted', path: 'my_lora.safetensors', steps: 3 };
  },
};

process.exitCode = await runCli(process.argv.slice(2), { ...processContext(), loadTrainer: async () => trainer });
