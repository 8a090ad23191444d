// Writes the pictures of docs/advanced-configuration.md anew, by its own commands. A test compares them with what the
// commands give; run this where it says that they differ.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fileNameOf, guides, pictureCommands, readBlocks } from './lib/guide.mjs';
import { runNode } from './lib/run.mjs';
import { root } from './lib/workspace.mjs';

const [guide] = guides;
const tsx = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs')).href;
const program = join(root, 'packages', 'cli', 'src', 'bin.ts');
const pictures = join(root, 'docs', 'images');
const folder = mkdtempSync(join(tmpdir(), 'musubi-guide-'));
try {
  mkdirSync(pictures, { recursive: true });
  const config = readBlocks(guide).find((block) => fileNameOf(block) === 'config.toml');
  writeFileSync(join(folder, 'config.toml'), config.code);
  for (const { command, picture } of pictureCommands(guide)) {
    const words = command.split(' ').slice('npx @musubi/cli'.split(' ').length);
    const { ok } = runNode('--import', [tsx, '--conditions=@musubi/source', program, ...words], { cwd: folder });
    if (!ok) throw new Error(`${command} failed; see above`);
    writeFileSync(join(pictures, picture), readFileSync(join(folder, 'output', picture)));
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
