// A folder as one compressed archive in parts of a given size, beside the sums that unpack.sh checks.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createGzip } from 'node:zlib';

const archive = 'musubi-linux-x64.tar.gz';
const unpackScript = fileURLToPath(new URL('unpack.sh', import.meta.url));

/**
 * Writes `musubi-linux-x64.tar.gz.000`, …, `SHA256SUMS` and `unpack.sh` into a new folder, which appears whole or not at all.
 *
 * gzip, as every system unpacks it; the largest file, CUDA's provider, would be 7 % smaller with zstd.
 *
 * @param source its contents are packed
 * @param {string} out
 * @returns {Promise<{ parts: { name: string, sha256: string }[], bytes: number, unpackedBytes: number }>}
 */
export async function writeParts(source, out, { partBytes }) {
  const made = `${out}.${process.pid}`;
  const remove = () => rmSync(made, { recursive: true, force: true });
  // whoever ends the program does not wait for `finally`
  process.once('exit', remove);
  mkdirSync(made, { recursive: true });
  try {
    const tar = spawn('tar', ['-cf', '-', '-C', source, '.'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [unpackedBytes, complaint] = [0, ''];
    tar.stderr.setEncoding('utf8').on('data', (text) => (complaint += text));
    tar.stdout.on('data', ({ length }) => (unpackedBytes += length));
    const packed = tar.stdout.pipe(createGzip({ level: 6 }));
    const [written, [code]] = await Promise.all([split(packed, made, partBytes), once(tar, 'close')]);
    if (code !== 0) throw new Error(`tar ended with ${code}: ${complaint.trim()}`);
    // `sha256sum -c` passes over lines that begin so
    const sums = [
      ...written.parts.map(({ name, sha256 }) => `${sha256}  ${name}`),
      `# all ${written.sha256}  ${archive}`,
    ];
    writeFileSync(join(made, 'SHA256SUMS'), `${sums.join('\n')}\n`);
    copyFileSync(unpackScript, join(made, 'unpack.sh'));
    renameSync(made, out);
    return { parts: written.parts, bytes: written.bytes, unpackedBytes };
  } finally {
    remove();
    process.off('exit', remove);
  }
}

async function split(stream, folder, partBytes) {
  const whole = createHash('sha256');
  const parts = [];
  let [bytes, part] = [0, null];
  const close = async () => {
    if (part === null) return;
    await part.file.close();
    parts.push({ name: part.name, sha256: part.hash.digest('hex') });
    part = null;
  };
  try {
    for await (const chunk of stream) {
      whole.update(chunk);
      bytes += chunk.length;
      for (let rest = chunk; rest.length > 0;) {
        part ??= await openPart(folder, parts.length);
        const piece = rest.subarray(0, partBytes - part.bytes);
        await part.file.writeFile(piece);
        part.hash.update(piece);
        part.bytes += piece.length;
        rest = rest.subarray(piece.length);
        if (part.bytes === partBytes) await close();
      }
    }
    await close();
  } finally {
    await part?.file.close();
  }
  return { parts, bytes, sha256: whole.digest('hex') };
}

async function openPart(folder, index) {
  const name = `${archive}.${String(index).padStart(3, '0')}`;
  return { name, file: await open(join(folder, name), 'wx'), hash: createHash('sha256'), bytes: 0 };
}
