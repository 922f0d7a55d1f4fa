/** Names what computes behind WebGL and WebGPU: a graphics card, or software that plays one. */

const MISSING = 'is not to be had in this browser, on this machine';
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render|cpu/i;

function named(names: readonly string[], emulated: boolean): string {
  const name = names.filter(Boolean).join(', ') || 'not told by the browser';
  return emulated || SOFTWARE.test(name) ? `software (${name})` : name;
}

/** Throw where there is no WebGL 2; a context is not enough to know that a card is behind it. */
export function webglAdapter(): string {
  const gl = document.createElement('canvas').getContext('webgl2');
  if (!gl) throw new Error(`WebGL 2 ${MISSING}`);
  const told = gl.getExtension('WEBGL_debug_renderer_info');
  return named([String(gl.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : gl.RENDERER))], false);
}

/** Throw where there is no WebGPU, or nothing to run it on. */
export async function webgpuAdapter(): Promise<string> {
  if (!navigator.gpu) throw new Error(`WebGPU ${MISSING}`);
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error(`WebGPU ${MISSING}: it finds no adapter`);
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  return named([description || device, vendor, architecture], isFallbackAdapter);
}
