#!/usr/bin/env node
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`error: musubi needs Node.js 20.19 or later; this is ${process.versions.node}.\n`);
  process.exitCode = 2;
} else {
  const { runCli } = await import('./run-cli.ts');
  // Whoever reads the output may be gone (`| head`, a closed window), or its disk full. A run of hours goes on all the same:
  // there is nobody left to tell. Without a listener Node would end the process.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const exitCode = await runCli(process.argv.slice(2));
  // Not process.exit at once: what was written to a pipe may not have left yet. A thread that a failed run left behind must
  // not keep the process alive, though.
  process.exitCode = exitCode;
  setTimeout(() => process.exit(exitCode), 3000).unref();
}

export {};
