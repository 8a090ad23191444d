import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import {
  crc32c,
  eventFileName,
  eventRecord,
  hyperparameterEvents,
  logFolderName,
  maskedCrc32c,
  scalarEvent,
  versionEvent,
} from '../src/index.ts';
import { openTensorBoardLog } from '../src/node.ts';
import { readEvents, readHyperparameters, readScalars } from './read-events.ts';

interface Golden {
  readonly crc32c: {
    readonly examples: readonly { readonly bytes_hex: string; readonly crc32c: string; readonly masked: string }[];
  };
  readonly scalars_file: string;
  readonly scalars_written: readonly {
    readonly tag: string;
    readonly value: number;
    readonly step: number;
    readonly wall_time: number;
  }[];
  readonly scalars_records: readonly {
    readonly hex: string;
    readonly length: number;
    readonly length_masked_crc: string;
    readonly data_masked_crc: string;
    readonly event: { readonly wall_time: number };
  }[];
  readonly training_files: readonly {
    readonly file: string;
    readonly folder_pattern: string;
    readonly file_name_pattern: string;
    readonly records: number;
    readonly scalars: readonly [tag: string, step: number, value: number][];
  }[];
}

const golden = readGoldenJson<Golden>('files', 'tensorboard.json');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const hex32 = (value: number): string => value.toString(16).padStart(8, '0');
const readFile = (name: string): Uint8Array => new Uint8Array(readFileSync(goldenPath('files', name)));

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'musubi-events-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('there are cases', () => {
  if (!isDefaultGolden) return;
  const { crc32c: crc, scalars_written: written, training_files: files } = golden;
  expect(Math.min(crc.examples.length, written.length, files.length)).toBeGreaterThan(0);
});

test.each(golden.crc32c.examples)('the checksum of "$bytes_hex"', ({ bytes_hex, crc32c: crc, masked }) => {
  const bytes = new Uint8Array(Buffer.from(bytes_hex, 'hex'));
  expect([hex32(crc32c(bytes)), hex32(maskedCrc32c(bytes))]).toEqual([crc, masked]);
});

describe('the file of single numbers', () => {
  const [first, ...rest] = golden.scalars_records;

  test('has every byte of the recorded one', () => {
    const events = golden.scalars_written.map((point) => scalarEvent(point.wall_time, point));
    const file = Buffer.concat([versionEvent(first?.event.wall_time ?? 0), ...events].map(eventRecord));
    expect(hex(file)).toBe(hex(readFile(golden.scalars_file)));
  });

  test.each(rest.map((record, i) => ({ record, point: golden.scalars_written[i]! })))(
    'has the event of $point.tag and its checksums',
    ({ record, point }) => {
      const event = scalarEvent(point.wall_time, point);
      expect([event.length, hex(event)]).toEqual([record.length, record.hex]);
      const stored = new DataView(eventRecord(event).buffer);
      expect([hex32(stored.getUint32(8, true)), hex32(stored.getUint32(12 + event.length, true))]).toEqual([
        record.length_masked_crc,
        record.data_masked_crc,
      ]);
    },
  );
});

describe.each(golden.training_files)('the training file $file', ({ file, records, scalars, ...patterns }) => {
  const bytes = readFile(file);
  const events = readEvents(bytes);

  test('is read as it is described', () => {
    expect(events).toHaveLength(records);
    expect(readScalars(bytes)).toEqual(scalars);
  });

  test('has every byte again when it is written with the same times', () => {
    const [version, ...others] = events;
    const rewritten = [
      versionEvent(version?.wallTime ?? 0),
      ...others.map(({ wallTime, step, values: [value], bytes: stored }) =>
        value?.simpleValue == null
          ? stored // compared below
          : scalarEvent(wallTime, { tag: value.tag, value: value.simpleValue, step }),
      ),
    ];
    expect(hex(Buffer.concat(rewritten.map(eventRecord)))).toBe(hex(bytes));
  });

  test('has the place of the recorded one', () => {
    const name = eventFileName({ unixSeconds: 1700000000.5, host: 'host', pid: 12, counter: 0 });
    expect(name).toBe(
      patterns.file_name_pattern
        .replace('<unix seconds>', '1700000000')
        .replace('<host>', 'host')
        .replace('<process id>', '12')
        .replace('<counter>', '0'),
    );
    const [, runFolder = ''] = patterns.folder_pattern.split('/');
    const prefix = runFolder.replace('YYYYMMDDHHMMSS', '');
    const startedAt = new Date(2026, 2, 4, 5, 6, 7);
    expect(logFolderName({ prefix, startedAt })).toBe(runFolder.replace('YYYYMMDDHHMMSS', '20260304050607'));
  });

  test('is written by an open log', () => {
    const log = openTensorBoardLog(join(folder, file), { host: 'h', pid: 1 });
    for (const [tag, step, value] of scalars) log.scalars(step, { [tag]: value });
    log.close();
    expect(readScalars(new Uint8Array(readFileSync(log.path)))).toEqual(scalars);
  });

  const isTable = events.some(({ values }) => values.some(({ plugin }) => plugin?.name === 'hparams'));
  test.runIf(isTable)('has the hyperparameters again', () => {
    const { kinds, values, status } = readHyperparameters(bytes);
    // In the order of the kinds: the values are a map, whose order in the file means nothing.
    const ordered = Object.fromEntries(Object.keys(kinds).map((name) => [name, values[name] ?? null]));
    const written = hyperparameterEvents(0, ordered);
    const recorded = events.slice(1);
    // Without their times, which are the first nine bytes.
    expect(written).toHaveLength(recorded.length);
    expect(hex(written[0]!.subarray(9))).toBe(hex(recorded[0]!.bytes.subarray(9)));
    expect(written[1]!).toHaveLength(recorded[1]!.bytes.length);
    expect(hex(written[2]!.subarray(9))).toBe(hex(recorded[2]!.bytes.subarray(9)));
    expect(readHyperparameters(Buffer.concat(written.map(eventRecord)))).toEqual({ kinds, values, status });

    const log = openTensorBoardLog(join(folder, 'table'), { now: () => 1700000000.25 });
    log.hyperparameters(ordered);
    log.close();
    const inside = join(folder, 'table', '1700000000.25');
    const [yaml = '', table = ''] = readdirSync(inside).toSorted(
      (a, b) => Number(b === 'hparams.yml') - Number(a === 'hparams.yml'),
    );
    expect(yaml).toBe('hparams.yml');
    expect(readHyperparameters(new Uint8Array(readFileSync(join(inside, table))))).toEqual({ kinds, values, status });
  });
});
