// Started by process.test.ts: the command line in a process of its own, with a trainer that waits for Ctrl-C.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { processContext } from '../src/context.ts';
import { runCli, type Trainer } from '../src/index.ts';

const notAsked = () => Promise.reject(new Error('not asked for'));

const trainer: Trainer = {
  runCacheLatents: notAsked,
  runCacheTexts: notAsked,
  estimateRun: notAsked,
  async runTraining(_, { logger, signal }) {
    // A thread in a native call that takes longer than anybody waits, as a step of a large model does.
    if (process.env['SLOW_STEP'] === '1') {
      const code = "require('node:crypto').pbkdf2Sync('a', 'b', 60_000_000, 64, 'sha512')";
      await once(new Worker(code, { eval: true }), 'online');
      logger('ready');
      await sleep(60_000);
    }
    logger('ready');
    for (let waited = 0; waited < 20_000 && !signal.aborted; waited += 10) await sleep(10);
    return { status: 'interrupted', path: 'my_lora.safetensors', steps: 3 };
  },
};

process.exitCode = await runCli(process.argv.slice(2), { ...processContext(), loadTrainer: async () => trainer });
