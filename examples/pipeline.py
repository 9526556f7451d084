"""FCA as the last step of a scikit-learn Pipeline, with a pandas frame and groups that are strings."""

import pandas as pd
import sklearn
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairjax import FCA, datasets


def main() -> None:
    data = datasets.load_diabetes(standardize=False)
    patients = pd.DataFrame(data.raw, columns=list(data.feature_names))
    sex = pd.Series(data.groups).map({0: "one", 1: "two"}).astype(object)
    with sklearn.config_context(enable_metadata_routing=True):
        cluster = FCA(5, random_state=0).set_fit_request(sensitive_features=True)
        cluster.set_predict_request(sensitive_features=True)
        model = make_pipeline(StandardScaler(), cluster)
        model.fit(patients, sensitive_features=sex)
        labels = model.predict(patients, sensitive_features=sex)
    fca = model[-1]
    centers = pd.DataFrame(model[0].inverse_transform(fca.cluster_centers_), columns=patients.columns)
    print("Centres in the units of the data:")
    print(centers.round(1).to_string())
    print("Patients by cluster and sex:")
    print(pd.crosstab(pd.Series(fca.labels_, name="cluster"), sex.rename("sex")).to_string())
    print(f"balance {fca.balance_:.4f} of at most {fca.max_balance_:.4f}")
    print(f"{(labels == fca.labels_).mean():.1%} of the patients are assigned alike by the rule for new ones")


if __name__ == "__main__":
    main()
