/** All texts of the page, in each language; `{name}` is filled in. */

const english = {
  title: 'Image check',
  language: 'Language',
  notice: 'Research use only. Not for clinical use: this is not a medical device, and its answer is not a diagnosis.',
  privacy: 'Everything is computed on this device. No image leaves it.',
  tabs: 'Views',
  diagnoseTab: 'Check an image',
  benchmarkTab: 'Speed',
  choose: 'Choose an image',
  drop: 'or drop one here, or paste it',
  camera: 'Use the camera',
  takePhoto: 'Take the photograph',
  closeCamera: 'Close the camera',
  cameraRefused: 'The camera cannot be used: it was not allowed, or there is none. Choose an image instead.',
  model: 'Model',
  loading: 'Loading the model…',
  ready: 'Ready.',
  working: 'Working…',
  noImage: 'The answer will be shown here.',
  image: 'The image, {width} × {height} pixels',
  probability: 'Probability of {positive}',
  above: 'At or above the threshold of {threshold}',
  below: 'Below the threshold of {threshold}',
  testedOn: 'On {images} test images, at the threshold of {threshold}, with 95 % intervals:',
  sensitivity: 'Sensitivity',
  specificity: 'Specificity',
  accuracy: 'Accuracy',
  auc: 'AUC',
  chosen: 'The threshold was chosen on {images} other images.',
  shipped: 'The threshold ships with the model; it was chosen on {chosenOn}.',
  byPatient: 'The intervals are by patient.',
  byImage: "The intervals are as if every image were another patient's.",
  took: '{model} ms for the model, {decode} ms to read and resize the image',
  runtimeThreads: '{version}, WebAssembly, {threads} threads',
  runtimeOne: '{version}, WebAssembly, 1 thread',
  filter: 'This does not look like an image that the model was made for ({accepts}: {probability}, below {threshold}). The answer may mean nothing.',
  heic: 'This browser cannot read HEIC photographs. Save the image as JPEG or PNG, and try again.',
  tooLarge: 'The image has more than 178 million pixels, which is more than this page reads. Make it smaller, and try again.',
  unreadable: 'The file cannot be read as an image: it is damaged, or of a format that this browser does not know.',
  cannotRun: 'The model has an operation that the runtime of this page lacks, and would answer at random: no answer is shown ({reason}).',
  notLoaded: 'The model could not be loaded: {reason}. Load the page again; if that does not help, try another browser.',
  benchmarkHere: 'On this device',
  benchmarkNote: 'Each model answers again and again; three answers are made first and not counted.',
  repeats: 'Answers for each model',
  run: 'Measure',
  measuring: 'Measuring {model}…',
  measured: 'Measured {count} models.',
  name: 'Model',
  size: 'Size (MB)',
  median: 'Median (ms)',
  p95: '95th percentile (ms)',
  warmUp: 'Loading (ms)',
  study: 'In the study',
  studyNote:
    'Milliseconds for one answer, as measured by A. García Perdomo (Universidad de La Laguna, 2023), with TensorFlow.js on WebGL and with tfjs-tflite.',
  device: 'Device',
  phone: 'phone',
  computer: 'PC',
  offline: 'This page now works without a connection too.',
};

type Texts = Readonly<Record<keyof typeof english, string>>;
export type Key = keyof Texts;

const spanish: Texts = {
  title: 'Análisis de imagen',
  language: 'Idioma',
  notice: 'Solo para investigación. No para uso clínico: esto no es un producto sanitario y su respuesta no es un diagnóstico.',
  privacy: 'Todo se calcula en este dispositivo. Ninguna imagen sale de él.',
  tabs: 'Vistas',
  diagnoseTab: 'Analizar una imagen',
  benchmarkTab: 'Velocidad',
  choose: 'Elegir una imagen',
  drop: 'o suéltela aquí, o péguela',
  camera: 'Usar la cámara',
  takePhoto: 'Hacer la fotografía',
  closeCamera: 'Cerrar la cámara',
  cameraRefused: 'No se puede usar la cámara: no se ha permitido o no la hay. Elija una imagen.',
  model: 'Modelo',
  loading: 'Cargando el modelo…',
  ready: 'Listo.',
  working: 'Calculando…',
  noImage: 'La respuesta aparecerá aquí.',
  image: 'La imagen, {width} × {height} píxeles',
  probability: 'Probabilidad de {positive}',
  above: 'En el umbral de {threshold} o por encima',
  below: 'Por debajo del umbral de {threshold}',
  testedOn: 'Con {images} imágenes de prueba, en el umbral de {threshold}, con intervalos del 95 %:',
  sensitivity: 'Sensibilidad',
  specificity: 'Especificidad',
  accuracy: 'Exactitud',
  auc: 'AUC',
  chosen: 'El umbral se eligió con {images} imágenes distintas.',
  shipped: 'El umbral viene con el modelo; se eligió con: {chosenOn}.',
  byPatient: 'Los intervalos son por paciente.',
  byImage: 'Los intervalos suponen que cada imagen es de otro paciente.',
  took: '{model} ms para el modelo, {decode} ms para leer y redimensionar la imagen',
  runtimeThreads: '{version}, WebAssembly, {threads} hilos',
  runtimeOne: '{version}, WebAssembly, 1 hilo',
  filter: 'Esto no parece una imagen de las que el modelo conoce ({accepts}: {probability}, por debajo de {threshold}). La respuesta puede no significar nada.',
  heic: 'Este navegador no puede leer fotografías HEIC. Guarde la imagen como JPEG o PNG e inténtelo de nuevo.',
  tooLarge: 'La imagen tiene más de 178 millones de píxeles, más de los que se leen aquí. Redúzcala e inténtelo de nuevo.',
  unreadable: 'El archivo no se puede leer como imagen: está dañado o su formato no lo conoce este navegador.',
  cannotRun: 'El modelo tiene una operación que falta en el entorno de ejecución de esta página y respondería al azar: no se muestra ninguna respuesta ({reason}).',
  notLoaded: 'No se ha podido cargar el modelo: {reason}. Vuelva a cargar la página; si no sirve, pruebe con otro navegador.',
  benchmarkHere: 'En este dispositivo',
  benchmarkNote: 'Cada modelo responde una y otra vez; antes se hacen tres respuestas que no cuentan.',
  repeats: 'Respuestas por modelo',
  run: 'Medir',
  measuring: 'Midiendo {model}…',
  measured: '{count} modelos medidos.',
  name: 'Modelo',
  size: 'Tamaño (MB)',
  median: 'Mediana (ms)',
  p95: 'Percentil 95 (ms)',
  warmUp: 'Carga (ms)',
  study: 'En el estudio',
  studyNote:
    'Milisegundos por respuesta, medidos por A. García Perdomo (Universidad de La Laguna, 2023), con TensorFlow.js en WebGL y con tfjs-tflite.',
  device: 'Dispositivo',
  phone: 'móvil',
  computer: 'PC',
  offline: 'Esta página ya funciona también sin conexión.',
};

export const LANGUAGES = { en: english as Texts, es: spanish } as const;
export type Language = keyof typeof LANGUAGES;

let current: Language = navigator.languages.map(languageOf).find((code) => code !== null) ?? 'en';
const listeners: (() => void)[] = [];

function languageOf(tag: string): Language | null {
  const code = tag.slice(0, 2).toLowerCase();
  return code === 'en' || code === 'es' ? code : null;
}

export const language = () => current;

export function switchTo(other: Language): void {
  current = other;
  for (const listener of listeners) listener();
}

/** Call `draw` now, and again whenever the language changes. */
export function inEveryLanguage(draw: () => void): void {
  listeners.push(draw);
  draw();
}

export function text(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  return LANGUAGES[current][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
}

export function percent(value: number): string {
  return new Intl.NumberFormat(current, { style: 'percent', maximumFractionDigits: 1 }).format(value);
}

export function decimal(value: number, digits = 1): string {
  return new Intl.NumberFormat(current, { maximumFractionDigits: digits }).format(value);
}

/** Three significant digits, however large or small. */
export function figures(value: number): string {
  return new Intl.NumberFormat(current, { maximumSignificantDigits: 3 }).format(value);
}
