/** Reads `key=value` arguments whose values are Python numbers, texts, booleans, lists or tuples. */
export function parseArguments(args: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    args.map((argument) => {
      const [key = '', text = ''] = argument.split('=');
      return [key, parseLiteral(text.trim())];
    }),
  );
}

function parseLiteral(text: string): unknown {
  if (text === 'None') return null;
  if (text === 'True' || text === 'False') return text === 'True';
  if (/^[[(].*[\])]$/.test(text))
    return text
      .slice(1, -1)
      .split(',')
      .filter(Boolean)
      .map((item) => parseLiteral(item.trim()));
  if (/^(['"]).*\1$/.test(text)) return text.slice(1, -1);
  if (text !== '' && !Number.isNaN(Number(text))) return Number(text);
  throw new SyntaxError(`${text} is no Python literal`);
}
