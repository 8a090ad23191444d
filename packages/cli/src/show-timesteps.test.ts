import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';

import { resolveOptions } from '@musubi/config';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { pngFont, renderPng } from './render-png.ts';
import { showTimesteps } from './show-timesteps.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'musubi-show-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function show(...more: string[]): Promise<string> {
  const argv = Object.entries({
    dataset_config: 'd.toml',
    dit: 'dit.safetensors',
    network_module: 'networks.lora_wan',
    optimizer_type: 'AdamW',
    output_dir: join(folder, 'out'),
    output_name: 'my_lora',
    seed: '42',
  }).flatMap(([name, value]) => [`--${name}`, value]);
  const { config } = await resolveOptions({ command: 'train', argv: [...argv, ...more], readText: () => '' });
  let text = '';
  await showTimesteps(config, { stdout: { write: (part) => (text += part) } });
  return text;
}

test('as text', async () => {
  const lines = (await show('--show_timesteps', 'console', '--timestep_sampling', 'uniform')).split('\n');
  expect(lines[0]).toBe('Sampled timesteps: max count=104.68'); // as the original with this seed
  expect(lines).toHaveLength(83);
  expect(readdirSync(folder)).toEqual([]);
});

test('as a picture, with its labels', async () => {
  const path = join(folder, 'out', 'my_lora-timesteps.png');
  const said = await show('--show_timesteps', 'image', '--timestep_sampling', 'shift', '--num_timestep_buckets', '10');
  expect(said).toBe(`${path}\n`);
  expect(readdirSync(join(folder, 'out'))).toEqual(['my_lora-timesteps.png']);
  const { width, height, ink } = readPng(readFileSync(path));
  expect([width, height]).toEqual([1000, 500]);
  // Digits below the left axis: without a font they would silently be missing.
  expect(ink(60, 434, 480, 450)).toBeGreaterThan(200);
});

const svg = (text: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="80" height="20" font-family="${pngFont}"><rect width="80" height="20" fill="#fff"/><text x="2" y="15">${text}</text></svg>`;

const inkOf = async (text: string) => readPng(await renderPng(svg(text))).ink(0, 0, 80, 20);

test('letters are drawn without any font of the machine', async () => {
  expect(await inkOf('')).toBe(0);
  expect(await inkOf('Count')).toBeGreaterThan(100);
});

/** Size of a PNG file of 8 bits and four channels, and how many pixels of a part are not white. */
function readPng(file: Uint8Array) {
  const buffer = Buffer.from(file);
  expect(buffer.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  const [width, height] = [buffer.readUInt32BE(16), buffer.readUInt32BE(20)];
  expect([buffer[24], buffer[25]]).toEqual([8, 6]);
  const parts: Buffer[] = [];
  for (let at = 8; at < buffer.length; at += buffer.readUInt32BE(at) + 12) {
    if (buffer.toString('latin1', at + 4, at + 8) === 'IDAT') {
      parts.push(buffer.subarray(at + 8, at + 8 + buffer.readUInt32BE(at)));
    }
  }
  const rows = unfilter(inflateSync(Buffer.concat(parts)), width * 4);
  const ink = (left: number, top: number, right: number, bottom: number): number => {
    let count = 0;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) if ((rows[y]?.[x * 4] ?? 255) < 200) count++;
    }
    return count;
  };
  return { width, height, ink };
}

/** Rows of a PNG picture: each is stored as differences to its neighbours (PNG specification, §9). */
function unfilter(data: Uint8Array, stride: number): Uint8Array[] {
  const rows: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += stride + 1) {
    const row = data.slice(at + 1, at + 1 + stride);
    const above = rows.at(-1) ?? new Uint8Array(stride);
    for (let i = 0; i < stride; i++) {
      const [left, up, corner] = [row[i - 4] ?? 0, above[i]!, above[i - 4] ?? 0];
      const predictions = [0, left, up, (left + up) >> 1, paeth(left, up, corner)];
      row[i] = row[i]! + predictions[data[at]!]!;
    }
    rows.push(row);
  }
  return rows;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [dLeft, dUp, dCorner] = [left, up, corner].map((x) => Math.abs(guess - x)) as [number, number, number];
  return dLeft <= dUp && dLeft <= dCorner ? left : dUp <= dCorner ? up : corner;
}
