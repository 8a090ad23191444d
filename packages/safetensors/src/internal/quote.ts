/** A name from a file, short and without control characters, for messages. */
export const quote = (name: string): string => JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
