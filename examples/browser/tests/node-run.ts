// `node node-run.ts FOLDER OPTION…`: what Node.js makes of a run of the page, in a folder with its files.
import { readFile } from 'node:fs/promises';

import { resolveOptions } from '@musubi/config';
import { runTraining } from '@musubi/trainer/node';

const [folder = '.', ...argv] = process.argv.slice(2);
process.chdir(folder);
const { config } = await resolveOptions({ command: 'train', argv, readText: (path) => readFile(path, 'utf8') });
const losses: number[] = [];
await runTraining(config, { onStep: ({ loss }) => losses.push(loss) });
console.log(JSON.stringify(losses));
