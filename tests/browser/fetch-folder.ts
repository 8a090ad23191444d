/** All files below a folder of the test server, by their path in it. */
export async function fetchFolder(url: string, path = ''): Promise<Map<string, Blob>> {
  const listed = (await (await get(`${url}/${path}`)).json()) as { name: string; isFolder: boolean }[];
  const files = new Map<string, Blob>();
  for (const { name, isFolder } of listed) {
    const inner = path === '' ? name : `${path}/${name}`;
    if (isFolder) for (const [file, blob] of await fetchFolder(url, inner)) files.set(file, blob);
    else files.set(inner, await (await get(`${url}/${inner}`)).blob());
  }
  return files;
}

async function get(url: string): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response;
}
