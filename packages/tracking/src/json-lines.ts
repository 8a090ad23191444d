/** A value of a JSON line; numbers may be infinite or not a number. */
export type JsonLineValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonLineValue[]
  | { readonly [key: string]: JsonLineValue };

/** One line of a JSONL log with its line end. Numbers that JSON cannot hold become `"NaN"`, `"Infinity"`, `"-Infinity"`. */
export function jsonLine(record: Readonly<Record<string, JsonLineValue>>): string {
  const text = JSON.stringify(record, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
  return `${text}\n`;
}
