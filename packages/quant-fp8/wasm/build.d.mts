export const target: URL;
export function kernelsModule(): Promise<string>;
