/**
 * A value as the original program would hold it. Whole numbers and floats stay apart, because `2` and `2.0` are different
 * texts in the metadata of a saved file.
 */
export type PythonValue =
  | { readonly type: 'null'; readonly value: null }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'list' | 'tuple'; readonly value: readonly PythonValue[] }
  | { readonly type: 'table'; readonly value: readonly (readonly [key: PythonValue, value: PythonValue])[] };

/** The same value without its Python type: tuples and lists are arrays, tables are objects. */
export type PlainValue = null | boolean | number | string | PlainValue[] | { [key: string]: PlainValue };

export const none: PythonValue = { type: 'null', value: null };
export const int = (value: number): PythonValue => ({ type: 'int', value });
export const float = (value: number): PythonValue => ({ type: 'float', value });
export const string = (value: string): PythonValue => ({ type: 'string', value });
export const bool = (value: boolean): PythonValue => ({ type: 'bool', value });
export const list = (value: readonly PythonValue[]): PythonValue => ({ type: 'list', value });

export function toPlain(value: PythonValue): PlainValue {
  switch (value.type) {
    case 'list':
    case 'tuple':
      return value.value.map(toPlain);
    case 'table':
      return Object.fromEntries(value.value.map(([key, entry]) => [pythonText(key), toPlain(entry)]));
    default:
      return value.value;
  }
}

/** What Python's `str()` prints: strings bare, `True`, `None`, `1.0`, `1e-05`, `(0.9, 0.95)`. */
export function pythonText(value: PythonValue): string {
  return value.type === 'string' ? value.value : pythonRepr(value);
}

/** What Python's `repr()` prints: as `str()`, strings quoted. */
export function pythonRepr(value: PythonValue): string {
  switch (value.type) {
    case 'null':
      return 'None';
    case 'bool':
      return value.value ? 'True' : 'False';
    case 'int':
      return BigInt(value.value).toString();
    case 'float':
      return pythonFloat(value.value);
    case 'string':
      return quote(value.value);
    case 'list':
      return `[${value.value.map(pythonRepr).join(', ')}]`;
    case 'tuple':
      return `(${value.value.map(pythonRepr).join(', ')}${value.value.length === 1 ? ',' : ''})`;
    case 'table':
      return `{${value.value.map(([key, entry]) => `${pythonRepr(key)}: ${pythonRepr(entry)}`).join(', ')}}`;
  }
}

/** A float as Python prints it: shortest digits, exponent form below 1e-4 and from 1e16 on. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [mantissa = '', exponentText = ''] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    const digits = String(Math.abs(exponent)).padStart(2, '0');
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${digits}`;
  }
  const fixed = String(value); // plain digits here: JavaScript changes to exponents below 1e-6 and from 1e21 on
  return fixed.includes('.') ? fixed : `${fixed}.0`;
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (char === mark) out += `\\${char}`;
    else if (escapes[char] !== undefined) out += escapes[char];
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) out += `\\x${code.toString(16).padStart(2, '0')}`;
    else out += char;
  }
  return mark + out + mark;
}
