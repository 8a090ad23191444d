// What the browser itself says that pages have on the graphics card.

/**
 * Contexts that each process has there, by the id of the process. Whoever uses WebGPU has one, and all that lies on the
 * card for it goes when the context does.
 *
 * @returns {Promise<Map<number, number>>}
 */
export async function gpuContexts(browser) {
  const session = await browser.target().createCDPSession();
  const events = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  const complete = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve));
  const traceConfig = { includedCategories: ['disabled-by-default-memory-infra'], memoryDumpConfig: {} };
  await session.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig });
  await session.send('Tracing.requestMemoryDump', { levelOfDetail: 'detailed' });
  await session.send('Tracing.end');
  await complete;
  await session.detach();
  const counts = new Map();
  for (const { pid, args } of events) {
    const names = Object.keys(args?.dumps?.allocators ?? {});
    const own = names.filter((name) => name.startsWith('gpu/command_buffer_memory/'));
    if (own.length > 0) counts.set(pid, own.length);
  }
  return counts;
}
