/** A float as Python prints it: `1.0`, `0.001`, `1e-05`, `1795548295.9410188`, `inf`. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const [mantissa = '', power = '0'] = value.toExponential().split('e');
  const exponent = Number(power);
  // JavaScript changes to exponents below 1e-6 and from 1e21 on, Python below 1e-4 and from 1e16 on.
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const digits = Object.is(value, -0) ? '-0' : String(value);
  return digits.includes('.') ? digits : `${digits}.0`;
}

/** `True`, `None`, `4`, `0.3`, text as it is. Whole numbers are integers: a float like `2.0` is given as text. */
export function pythonText(value: string | number | boolean | null): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : pythonFloat(value);
  return value;
}

/** A table of texts as Python's `json.dumps` writes it: spaces after `:` and `,`, everything beyond ASCII escaped. */
export function pythonJson(table: Readonly<Record<string, string>>): string {
  const members = Object.entries(table).map(([key, value]) => `${quote(key)}: ${quote(value)}`);
  return `{${members.join(', ')}}`;
}

function quote(text: string): string {
  return JSON.stringify(text).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
