import type { JsonLineValue } from '../json-lines.ts';
import type { WandbClient, WandbPlace } from './client.ts';
import { WandbError } from './errors.ts';
import type { WandbRecord, WandbRow } from './run.ts';

/** What has been sent of a spool. */
export interface UploadState {
  readonly place: WandbPlace;
  /** Rows that wandb has. */
  readonly rows: number;
  /** The end of the run was sent. */
  readonly isComplete: boolean;
}

/** More in one request makes a failure dearer. */
const rowsARequest = 500;

/**
 * Sends what a spool holds and wandb does not have yet. Sending the same rows again is harmless: each has its place in the
 * history.
 *
 * @param text the spool so far; a last line without its end is left for later
 * @param before what an earlier upload of this spool returned
 * @param onSent called after each request, so that a failure in between loses nothing
 * @throws {WandbError} what the client throws, and `WANDB_SPOOL` when the text is no spool
 */
export async function uploadSpool(
  text: string,
  client: WandbClient,
  before: UploadState | null = null,
  onSent: (state: UploadState) => void = () => {},
): Promise<UploadState> {
  const { run, rows, exitCode } = parseSpool(text);
  let state = before ?? { place: await client.upsertRun(run), rows: 0, isComplete: false };
  if (before === null) onSent(state);
  while (state.rows < rows.length) {
    const end = Math.min(state.rows + rowsARequest, rows.length);
    await client.stream(state.place, {
      rows: rows.slice(state.rows, end).map((row) => JSON.stringify(row)),
      offset: state.rows,
      summary: JSON.stringify(summaryOf(rows.slice(0, end))),
    });
    state = { ...state, rows: end };
    onSent(state);
  }
  if (exitCode !== null && !state.isComplete) {
    await client.stream(state.place, { exitCode });
    state = { ...state, isComplete: true };
    onSent(state);
  }
  return state;
}

/**
 * Reads a spool. Lines that a crash cut short are left out.
 *
 * @throws {WandbError} `WANDB_SPOOL`
 */
export function parseSpool(text: string) {
  const records = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .flatMap(parseRecord);
  const [first, ...rest] = records;
  if (first?.type !== 'run' || first.format !== 1) {
    throw new WandbError('WANDB_SPOOL', 'The file does not begin with a run for wandb.');
  }
  const end = rest.findLast((record) => record.type === 'exit');
  return {
    run: first.run,
    rows: rest.flatMap((record) => (record.type === 'row' ? [record.row] : [])),
    exitCode: end?.exitCode ?? null,
  };
}

function parseRecord(line: string): WandbRecord[] {
  try {
    const record: unknown = JSON.parse(line);
    return typeof record === 'object' && record !== null && 'type' in record ? [record as WandbRecord] : [];
  } catch {
    return [];
  }
}

/** The last value of every name. */
function summaryOf(rows: readonly WandbRow[]): Record<string, JsonLineValue> {
  const summary: Record<string, JsonLineValue> = {};
  for (const row of rows) Object.assign(summary, row);
  return summary;
}
