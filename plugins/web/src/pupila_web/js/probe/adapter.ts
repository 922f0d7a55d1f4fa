/** Names what computes for WebGL and WebGPU: a graphics card, or software that emulates one. */

const MISSING = 'is not available in this browser, on this machine';
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render|cpu/i;

function describe(names: readonly string[], emulated: boolean): string {
  const name = names.filter(Boolean).join(', ') || 'not named by the browser';
  return emulated || SOFTWARE.test(name) ? `software (${name})` : name;
}

/** Throw without WebGL 2; a context alone does not mean that there is a graphics card. */
export function webglAdapter(): string {
  const gl = document.createElement('canvas').getContext('webgl2');
  if (!gl) throw new Error(`WebGL 2 ${MISSING}`);
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  return describe([String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER))], false);
}

/** Throw without WebGPU, or without an adapter to run it on. */
export async function webgpuAdapter(): Promise<string> {
  if (!navigator.gpu) throw new Error(`WebGPU ${MISSING}`);
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error(`WebGPU ${MISSING}: it finds no adapter`);
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  return describe([description || device, vendor, architecture], isFallbackAdapter);
}
