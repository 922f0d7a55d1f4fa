"""What plugins share that run models in web pages: npm packages, pages built from TypeScript."""
