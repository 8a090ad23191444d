// Runs the modules that the command line names, one after the other, and prints for each a line of JSON: what it printed, or its error.
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';

for (const path of process.argv.slice(2)) {
  const lines = [];
  console.log = (...args) => lines.push(format(...args));
  const result = await import(pathToFileURL(path).href).then(
    () => ({ printed: lines.join('\n') }),
    (error) => ({ error: error?.stack ?? String(error) }),
  );
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
