import type { GivenFile } from './given-files.ts';

/** The files of the quick start that lie beside the page. */
export async function fetchSample(): Promise<GivenFile[]> {
  const paths = (await (await get('files.json')).json()) as string[];
  return Promise.all(paths.map(async (path) => ({ path, blob: await (await get(path)).blob() })));
}

async function get(path: string): Promise<Response> {
  const response = await fetch(new URL(`sample/${path}`, document.baseURI));
  if (response.ok) return response;
  throw new Error(`sample/${path} cannot be loaded: ${response.status} ${response.statusText}. Reload the page.`);
}
